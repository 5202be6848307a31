package cspkeras.demo.logic

/** Degrees, clockwise, by which a camera's frame has to be turned to stand upright on a turned display. */
fun uprightRotation(sensor: Int, display: Int, front: Boolean) =
    if (front) (sensor + display) % 360 else (sensor - display + 360) % 360

/** How an upright picture lies in the middle of a view, whole; `mirrored` as a front camera's preview is. */
class Viewport(width: Int, height: Int, viewWidth: Int, viewHeight: Int, private val mirrored: Boolean) {
    val scale = minOf(viewWidth / width.toFloat(), viewHeight / height.toFloat())
    private val viewWidth = viewWidth.toFloat()
    private val left = (viewWidth - width * scale) / 2
    private val top = (viewHeight - height * scale) / 2

    /** A detection in the view's pixels. */
    fun place(box: Detection): Detection {
        val x1 = left + box.x1 * scale
        val x2 = left + box.x2 * scale
        val y1 = top + box.y1 * scale
        val y2 = top + box.y2 * scale
        return if (mirrored) Detection(viewWidth - x2, y1, viewWidth - x1, y2, box.label, box.score)
        else Detection(x1, y1, x2, y2, box.label, box.score)
    }
}

/**
 * How a preview that fills its view, as if the display were not turned, comes to lie where [Viewport] has the picture:
 * scaled about the middle by `scaleX` and `scaleY`, then turned about it by `degrees`, clockwise.
 */
class PreviewTransform(picture: Viewport, width: Int, height: Int, viewWidth: Int, viewHeight: Int, display: Int) {
    private val turned = display % 180 != 0
    val scaleX = (if (turned) height else width) * picture.scale / viewWidth
    val scaleY = (if (turned) width else height) * picture.scale / viewHeight
    val degrees = -display
}

/** The camera's size for detection: the smallest with both sides at least `side`, else the largest. */
fun frameSize(sizes: List<Pair<Int, Int>>, side: Int) =
    sizes.filter { minOf(it.first, it.second) >= side }.minByOrNull(::area) ?: sizes.maxByOrNull(::area)

/** The camera's size for the preview: the largest of the frames' shape within full HD, else the frames'. */
fun previewSize(sizes: List<Pair<Int, Int>>, frame: Pair<Int, Int>) =
    sizes.filter { it.first * frame.second == it.second * frame.first && it.first <= 1920 && it.second <= 1440 }
        .maxByOrNull(::area) ?: frame

private fun area(size: Pair<Int, Int>) = size.first * size.second

/** By which power of two a picture has to be divided for its sides to be at most `limit`. */
fun sampleSize(width: Int, height: Int, limit: Int): Int {
    var size = 1
    while (maxOf(width, height) / size > limit) size *= 2
    return size
}
