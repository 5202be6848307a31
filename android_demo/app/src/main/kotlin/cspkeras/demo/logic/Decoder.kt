package cspkeras.demo.logic

import org.json.JSONException
import org.json.JSONObject

private const val EXP_LIMIT = 8f // as in the networks

fun sigmoid(value: Float) = 1 / (1 + Math.exp(-value.toDouble()))

private fun logistic(raw: Float) = sigmoid(raw).toFloat()

private fun linear(raw: Float) = raw

private fun exp(raw: Float) = Math.exp(minOf(raw, EXP_LIMIT).toDouble()).toFloat()

private fun square(raw: Float) = (2 * logistic(raw)) * (2 * logistic(raw))

/**
 * What the four raw numbers of a box mean, as in the networks: the functions of the first two and of the last two, and
 * whether they are then the [distances] from the cell's left upper corner to the left, top, right and bottom in cells,
 * instead of the centre in cells and the size in anchors.
 */
enum class Coding(val first: (Float) -> Float, val last: (Float) -> Float, val distances: Boolean = false) {
    YOLO(::logistic, ::exp),
    FREE(::linear, ::exp),
    SCALED(::logistic, ::square),
    DISTANCES(::linear, ::linear, distances = true),
    LOG_DISTANCES(::exp, ::exp, distances = true);

    /** Whether a prediction has an object's logit before those of its classes. */
    val objectness = !distances

    companion object {
        /** That of the settings "decode"; older files say "linear", whether a raw centre is a number of cells. */
        fun of(settings: JSONObject): Coding {
            if (!settings.has("coding")) return if (settings.getBoolean("linear")) FREE else YOLO
            val name = settings.getString("coding")
            return values().find { it.name.lowercase() == name }
                ?: throw JSONException("coding is $name, known here: ${values().joinToString { it.name.lowercase() }}")
        }
    }
}

/** Turns raw boxes into boxes: the settings "decode" of a file whose boxes are "raw", for an input of `width` x `height`. */
class Decoder(settings: JSONObject, private val width: Int, private val height: Int) {
    val coding = Coding.of(settings)
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

    /** The box of a prediction with the four [raw] numbers, in 0..1 of the input. */
    fun box(prediction: Int, raw: FloatArray, label: Int, score: Float): Detection {
        val level = levels.last { it.first <= prediction }
        val cell = (prediction - level.first) / level.anchors.size
        val anchor = level.anchors[(prediction - level.first) % level.anchors.size]
        val (x1, x2) = span(raw[0], raw[2], cell % level.columns, level, anchor[0], width)
        val (y1, y2) = span(raw[1], raw[3], cell / level.columns, level, anchor[1], height)
        return Detection(x1, y1, x2, y2, label, score)
    }

    /** Where a box begins and ends on an axis, whose [side] is in pixels. */
    private fun span(first: Float, last: Float, cell: Int, level: Level, anchor: Float, side: Int): Pair<Float, Float> {
        val (a, b) = coding.first(first) to coding.last(last)
        if (coding.distances) return (cell - a) * level.stride / side to (cell + b) * level.stride / side
        val center = (cell + a * level.scale - (level.scale - 1) / 2) * level.stride / side
        val half = b * anchor / side / 2
        return center - half to center + half
    }
}
