package cspkeras.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.util.AttributeSet
import android.view.View
import cspkeras.demo.logic.Detection
import cspkeras.demo.logic.Viewport

/** Draws boxes, class names and scores over the preview or a picture. */
class OverlayView(context: Context, attributes: AttributeSet? = null) : View(context, attributes) {
    private val density = resources.displayMetrics.density
    private val line = Paint().apply { style = Paint.Style.STROKE; strokeWidth = 2 * density }
    private val plate = Paint()
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply { textSize = 14 * density }
    private var viewport: Viewport? = null
    private var detections = emptyList<Detection>()
    private var labels = emptyList<String>()

    /** Shows detections, best first, where `viewport` puts them; none clears the view. */
    fun show(detections: List<Detection>, labels: List<String>, viewport: Viewport?) {
        this.detections = detections
        this.labels = labels
        this.viewport = viewport
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val viewport = viewport ?: return
        for (detection in detections.asReversed()) { // the best last: its text lies on top
            val box = viewport.place(detection)
            val color = classColor(box.label)
            line.color = color
            canvas.drawRect(box.x1, box.y1, box.x2, box.y2, line)
            val name = "%s %.2f".format(labels[box.label], box.score)
            val width = text.measureText(name) + 8 * density
            val height = 20 * density
            val x = box.x1.coerceIn(0f, maxOf(0f, this.width - width))
            val y = if (box.y1 >= height) box.y1 - height else box.y1 // above the box if it fits
            plate.color = color
            canvas.drawRect(x, y, x + width, y + height, plate)
            text.color = if (bright(color)) Color.BLACK else Color.WHITE
            canvas.drawText(name, x + 4 * density, y + 15 * density, text)
        }
    }

    private fun bright(color: Int) = 0.299 * Color.red(color) + 0.587 * Color.green(color) + 0.114 * Color.blue(color) > 140

    /** A class's own colour, the same as on the pictures of cspkeras: a golden ratio apart on the colour circle. */
    private fun classColor(label: Int) = Color.HSVToColor(floatArrayOf(label * 222.492f % 360, 0.85f, 1 - label % 3 * 0.12f))
}
