package cspkeras.demo.logic

import java.nio.ByteBuffer

enum class Processor { GPU, CPU }

/** What a tensor's numbers are: their bytes and, of integers, their range. */
enum class Number(val bytes: Int, val range: IntRange) {
    FLOAT32(4, IntRange.EMPTY), INT16(2, -32768..32767), INT8(1, -128..127), UINT8(1, 0..255)
}

/** A tensor of a network: a real value is (number - zeroPoint) * scale, or the number itself where scale is 0. */
class Tensor(val buffer: ByteBuffer, val shape: List<Int>, val type: Number, val scale: Float, val zeroPoint: Int) {
    private val floats = buffer.asFloatBuffer()

    /** Copies the numbers to floats, as they are. */
    fun read(numbers: FloatArray) {
        when (type) {
            Number.FLOAT32 -> { floats.rewind(); floats.get(numbers) }
            Number.INT16 -> for (i in numbers.indices) numbers[i] = buffer.getShort(2 * i).toFloat()
            Number.INT8 -> for (i in numbers.indices) numbers[i] = buffer.get(i).toFloat()
            Number.UINT8 -> for (i in numbers.indices) numbers[i] = (buffer.get(i).toInt() and 255).toFloat()
        }
    }

    fun value(number: Float) = if (scale == 0f) number else (number - zeroPoint) * scale
}

/** A network that is loaded: fill `input`, `run`, read the outputs. */
interface Network {
    val input: Tensor

    /** (1, P, 4): centre y, centre x, height, width in 0..1 of the input; or what the model's [Decoder] takes. */
    val boxes: Tensor

    /** (1, P, classes), 0..1; of raw boxes logits, (1, P, 1 + classes) where the [Coding] has an objectness before them. */
    val scores: Tensor

    fun run()

    fun close()
}
