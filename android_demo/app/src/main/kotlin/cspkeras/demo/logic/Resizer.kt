package cspkeras.demo.logic

private const val BITS = 22 // of the weights' fractions

/** Pillow's bilinear resizing, within a grey level: triangles as wide as the source pixels that a new pixel covers. */
class Resizer(private val fromWidth: Int, private val fromHeight: Int, val width: Int, val height: Int) {
    private val columns = Taps(fromWidth, width)
    private val rows = Taps(fromHeight, height)
    private val narrow = IntArray(width * fromHeight)

    /** Calls `put` with each new pixel's column, row and 0xRRGGBB. */
    inline fun resize(pixels: IntArray, put: (Int, Int, Int) -> Unit) {
        shrink(pixels)
        for (y in 0 until height) for (x in 0 until width) put(x, y, pixel(x, y))
    }

    /** The horizontal half. */
    fun shrink(pixels: IntArray) {
        for (y in 0 until fromHeight) for (x in 0 until width) {
            narrow[y * width + x] = columns.weigh(x, pixels, y * fromWidth, 1)
        }
    }

    /** The vertical half, of one pixel. */
    fun pixel(x: Int, y: Int) = rows.weigh(y, narrow, x, width)
}

/** For each new pixel of a line, the first source pixel it covers and the weights from there on. */
private class Taps(from: Int, to: Int) {
    private val starts = IntArray(to)
    private val weights: Array<IntArray>

    init {
        val scale = from.toDouble() / to
        val reach = maxOf(scale, 1.0)
        weights = Array(to) { i ->
            val center = (i + 0.5) * scale
            val start = maxOf((center - reach + 0.5).toInt(), 0)
            val end = minOf((center + reach + 0.5).toInt(), from)
            starts[i] = start
            val shares = DoubleArray(end - start) { maxOf(0.0, 1 - Math.abs((it + start - center + 0.5) * (1 / reach))) }
            val sum = shares.sum()
            IntArray(shares.size) { (0.5 + shares[it] / sum * (1 shl BITS)).toInt() }
        }
    }

    fun weigh(i: Int, pixels: IntArray, offset: Int, step: Int): Int {
        var red = 1 shl (BITS - 1)
        var green = red
        var blue = red
        var at = offset + starts[i] * step
        for (weight in weights[i]) {
            val pixel = pixels[at]
            red += (pixel shr 16 and 255) * weight
            green += (pixel shr 8 and 255) * weight
            blue += (pixel and 255) * weight
            at += step
        }
        return (clip(red) shl 16) or (clip(green) shl 8) or clip(blue)
    }

    private fun clip(sum: Int) = minOf(sum ushr BITS, 255)
}
