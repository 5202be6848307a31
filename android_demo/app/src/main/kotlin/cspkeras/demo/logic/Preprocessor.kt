package cspkeras.demo.logic

/** Writes pictures into a network's input: resized, on grey where they don't reach, scaled, quantized. */
class Preprocessor(private val model: ModelFile, private val input: Tensor) {
    private val floats = FloatArray(256) { (it - model.mean) * model.scale }
    private val bytes = ByteArray(256) { quantize(floats[it]) }
    private var resizer = Resizer(1, 1, 1, 1)
    private var size = 0 to 0

    private fun quantize(value: Float): Byte {
        val (least, most) = if (input.type == Number.UINT8) 0 to 255 else -128 to 127
        val steps = if (input.scale == 0f) value else value / input.scale
        return (Math.rint(steps.toDouble()).toInt() + input.zeroPoint).coerceIn(least, most).toByte()
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
        val at = (y * model.width + x) * 3
        for (channel in 0..2) {
            val color = pixel shr (16 - 8 * channel) and 255
            if (input.type == Number.FLOAT32) input.buffer.putFloat((at + channel) * 4, floats[color])
            else input.buffer.put(at + channel, bytes[color])
        }
    }
}
