package cspkeras.demo.logic

/** Writes pictures into a network's input: resized, on grey where they don't reach, scaled, quantized. */
class Preprocessor(private val model: ModelFile, private val input: Tensor) {
    private val floats = FloatArray(256) { (it - model.mean) * model.scale }
    private val integers = IntArray(256) { if (input.type == Number.FLOAT32) 0 else quantize(floats[it]) }
    private var resizer = Resizer(1, 1, 1, 1)
    private var size = 0 to 0

    private fun quantize(value: Float): Int {
        val steps = if (input.scale == 0f) value else value / input.scale
        return (Math.rint(steps.toDouble()).toInt() + input.zeroPoint).coerceIn(input.type.range)
    }

    /** Writes a picture; where it lies is what boxes are mapped back with. */
    fun write(picture: Picture): Placement {
        val placement = Placement(picture.width, picture.height, model)
        if (size != picture.width to picture.height) {
            size = picture.width to picture.height
            resizer = Resizer(picture.width, picture.height, placement.fittedWidth, placement.fittedHeight)
            for (y in 0 until model.height) for (x in 0 until model.width) put(x, y, model.fill * 0x10101)
        }
        resizer.resize(picture.pixels) { x, y, pixel -> put(placement.left + x, placement.top + y, pixel) }
        return placement
    }

    private fun put(x: Int, y: Int, pixel: Int) {
        var at = (y * model.width + x) * 3 * input.type.bytes
        for (shift in 16 downTo 0 step 8) {
            val color = pixel shr shift and 255
            when (input.type) {
                Number.FLOAT32 -> input.buffer.putFloat(at, floats[color])
                Number.INT16 -> input.buffer.putShort(at, integers[color].toShort())
                else -> input.buffer.put(at, integers[color].toByte())
            }
            at += input.type.bytes
        }
    }
}
