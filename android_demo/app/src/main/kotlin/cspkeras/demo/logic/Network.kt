package cspkeras.demo.logic

import java.nio.ByteBuffer

enum class Processor { GPU, CPU }

enum class Number { FLOAT32, INT8, UINT8 }

/** A tensor of a network: a real value is (number - zeroPoint) * scale, or the number itself where scale is 0. */
class Tensor(val buffer: ByteBuffer, val shape: List<Int>, val type: Number, val scale: Float, val zeroPoint: Int) {
    private val floats = buffer.asFloatBuffer()

    /** Copies the numbers to floats, as they are. */
    fun read(numbers: FloatArray) {
        when (type) {
            Number.FLOAT32 -> { floats.rewind(); floats.get(numbers) }
            Number.INT8 -> for (i in numbers.indices) numbers[i] = buffer.get(i).toFloat()
            Number.UINT8 -> for (i in numbers.indices) numbers[i] = (buffer.get(i).toInt() and 255).toFloat()
        }
    }

    fun value(number: Float) = if (scale == 0f) number else (number - zeroPoint) * scale
}

/** A network that is loaded: fill `input`, `run`, read the outputs. */
interface Network {
    val input: Tensor

    /** (1, P, 4): centre y, centre x, height, width in 0..1 of the input. */
    val boxes: Tensor

    /** (1, P, classes), 0..1. */
    val scores: Tensor

    fun run()

    fun close()
}
