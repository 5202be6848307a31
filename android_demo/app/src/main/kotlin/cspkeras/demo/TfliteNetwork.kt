package cspkeras.demo

import cspkeras.demo.logic.ModelFile
import cspkeras.demo.logic.Network
import cspkeras.demo.logic.Number
import cspkeras.demo.logic.Processor
import cspkeras.demo.logic.Tensor
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory

/** A .tflite file on TensorFlow Lite: its GPU delegate, or XNNPACK on the CPU. */
class TfliteNetwork(model: ModelFile, processor: Processor) : Network {
    private val delegate = if (processor == Processor.GPU) GpuDelegate(gpuOptions()) else null
    private val interpreter: Interpreter
    override val input: Tensor
    override val boxes: Tensor
    override val scores: Tensor
    private val inputs: Map<String, Any>
    private val outputs: Map<String, Any>

    init {
        val options = Interpreter.Options()
        options.setNumThreads(minOf(4, Runtime.getRuntime().availableProcessors()))
        if (delegate != null) options.addDelegate(delegate)
        var opened: Interpreter? = null
        try {
            opened = Interpreter(model.file, options)
            val signature = opened.signatureKeys.first()
            val name = opened.getSignatureInputs(signature).first()
            input = tensor(opened.getInputTensorFromSignature(name, signature))
            boxes = tensor(opened.getOutputTensorFromSignature("boxes", signature))
            scores = tensor(opened.getOutputTensorFromSignature("scores", signature))
            inputs = mapOf(name to input.buffer)
            outputs = mapOf("boxes" to boxes.buffer, "scores" to scores.buffer)
        } catch (error: RuntimeException) {
            opened?.close()
            delegate?.close()
            throw error
        }
        interpreter = opened
    }

    private fun gpuOptions(): GpuDelegateFactory.Options = GpuDelegateFactory.Options()
        .setInferencePreference(GpuDelegateFactory.Options.INFERENCE_PREFERENCE_SUSTAINED_SPEED)

    private fun tensor(tensor: org.tensorflow.lite.Tensor): Tensor {
        val buffer = ByteBuffer.allocateDirect(tensor.numBytes()).order(ByteOrder.nativeOrder())
        val type = when (tensor.dataType()) {
            DataType.FLOAT32 -> Number.FLOAT32
            DataType.INT16 -> Number.INT16
            DataType.INT8 -> Number.INT8
            DataType.UINT8 -> Number.UINT8
            else -> throw IllegalArgumentException("tensors of ${tensor.dataType()} are not known here")
        }
        val quantization = tensor.quantizationParams()
        return Tensor(buffer, tensor.shape().toList(), type, quantization.scale, quantization.zeroPoint)
    }

    override fun run() {
        for (tensor in listOf(input, boxes, scores)) tensor.buffer.rewind()
        interpreter.runSignature(inputs, outputs)
    }

    override fun close() {
        interpreter.close()
        delegate?.close()
    }
}
