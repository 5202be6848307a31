package cspkeras.demo.logic

import org.json.JSONObject

private const val EXP_LIMIT = 8f // as in the networks

fun sigmoid(value: Float) = 1 / (1 + Math.exp(-value.toDouble()))

/** Turns raw boxes into boxes: the settings "decode" of a file whose boxes are "raw", for an input of `width` x `height`. */
class Decoder(settings: JSONObject, private val width: Int, private val height: Int) {
    private val linear = settings.getBoolean("linear")
    private val levels = ArrayList<Level>()

    /** Of predictions, in the order level, row, column, anchor. */
    var count = 0
        private set

    private class Level(val first: Int, val columns: Int, val stride: Int, val scale: Float, val anchors: List<List<Float>>)

    init {
        val entries = settings.getJSONArray("levels")
        for (i in 0 until entries.length()) {
            val entry = entries.getJSONObject(i)
            val stride = entry.getInt("stride")
            val pairs = entry.getJSONArray("anchors")
            val anchors = List(pairs.length()) { j -> List(2) { pairs.getJSONArray(j).getDouble(it).toFloat() } }
            levels.add(Level(count, width / stride, stride, entry.getDouble("scale_xy").toFloat(), anchors))
            count += (height / stride) * (width / stride) * anchors.size
        }
    }

    /** The box of a prediction with raw x, y, width and height, in 0..1 of the input. */
    fun box(prediction: Int, x: Float, y: Float, width: Float, height: Float, label: Int, score: Float): Detection {
        val level = levels.last { it.first <= prediction }
        val cell = (prediction - level.first) / level.anchors.size
        val anchor = level.anchors[(prediction - level.first) % level.anchors.size]
        val centerX = (place(x, level.scale) + cell % level.columns) * level.stride / this.width
        val centerY = (place(y, level.scale) + cell / level.columns) * level.stride / this.height
        val halfWidth = side(width) * anchor[0] / this.width / 2
        val halfHeight = side(height) * anchor[1] / this.height / 2
        return Detection(centerX - halfWidth, centerY - halfHeight, centerX + halfWidth, centerY + halfHeight, label, score)
    }

    /** A centre's place in its cell. */
    private fun place(raw: Float, scale: Float) = (if (linear) raw else sigmoid(raw).toFloat()) * scale - (scale - 1) / 2

    private fun side(raw: Float) = Math.exp(minOf(raw, EXP_LIMIT).toDouble()).toFloat()
}
