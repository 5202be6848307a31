package cspkeras.demo.logic

/** An upright picture: a pixel an Int, 0xRRGGBB in its lower bytes, row by row. */
class Picture(val width: Int, val height: Int, val pixels: IntArray)

/** A box in a picture's pixels. */
class Detection(val x1: Float, val y1: Float, val x2: Float, val y2: Float, val label: Int, val score: Float)

/** Where a picture of `width` x `height` lies in the network's input; undistorted if `letterbox`. */
class Placement(private val width: Int, private val height: Int, model: ModelFile) {
    private val inputWidth = model.width
    private val inputHeight = model.height
    val fittedWidth: Int
    val fittedHeight: Int
    val left: Int
    val top: Int

    init {
        val scale = minOf(inputHeight / height.toDouble(), inputWidth / width.toDouble())
        fittedWidth = if (model.letterbox) maxOf(1, (width * scale + 0.5).toInt()) else inputWidth
        fittedHeight = if (model.letterbox) maxOf(1, (height * scale + 0.5).toInt()) else inputHeight
        left = (inputWidth - fittedWidth) / 2
        top = (inputHeight - fittedHeight) / 2
    }

    /** A horizontal position in 0..1 of the input, in the picture's pixels, within the picture. */
    fun x(position: Float) = ((position * inputWidth - left) * (width / fittedWidth.toFloat())).coerceIn(0f, width.toFloat())

    /** A vertical position likewise. */
    fun y(position: Float) = ((position * inputHeight - top) * (height / fittedHeight.toFloat())).coerceIn(0f, height.toFloat())
}
