package cspkeras.demo.logic

import kotlin.math.floor
import kotlin.math.ln

private const val CANDIDATES = 1000 // the best (box, class) pairs, those that suppression sees

/** Turns a network's two outputs into the objects of a picture; the same as cspkeras' detect.py. */
class Postprocessor(private val model: ModelFile, private val boxes: Tensor, private val scores: Tensor) {
    private val decoder = model.decoder
    private val depth = scores.shape.last() // of a prediction's scores
    private val objectness = decoder?.coding?.objectness == true
    private val classes = if (objectness) depth - 1 else depth
    private val rawBoxes = FloatArray(boxes.shape.fold(1, Int::times))
    private val rawScores = FloatArray(scores.shape.fold(1, Int::times))
    private var pairs = IntArray(CANDIDATES) // prediction * classes + class
    private var likely = FloatArray(CANDIDATES) // their scores
    private var count = 0

    init {
        if (model.labels.size != classes) {
            throw ModelException("${model.file.name} has ${model.labels.size} labels for $classes classes")
        }
        if (decoder != null && decoder.count != boxes.shape[1]) {
            throw ModelException("${model.file.name} has ${boxes.shape[1]} boxes, its settings tell of ${decoder.count}")
        }
    }

    /** The objects whose scores are above the threshold, best first. */
    fun detect(placement: Placement, threshold: Float): List<Detection> {
        boxes.read(rawBoxes)
        scores.read(rawScores)
        val found = suppress(candidates(threshold), model.iouThreshold)
        return found.mapNotNull { box ->
            val x1 = placement.x(box.x1)
            val y1 = placement.y(box.y1)
            val x2 = placement.x(box.x2)
            val y2 = placement.y(box.y2)
            if (x2 > x1 && y2 > y1) Detection(x1, y1, x2, y2, box.label, box.score) else null
        }
    }

    /** The best pairs of a box and a class, best first, in 0..1 of the input. */
    private fun candidates(threshold: Float): List<Detection> {
        count = 0
        if (decoder == null) scanScores(threshold) else if (objectness) scanProducts(threshold) else scanLogits(threshold)
        val best = (0 until count).sortedByDescending { likely[it] }.take(CANDIDATES)
        return best.map { box(pairs[it] / classes, pairs[it] % classes, likely[it]) }
    }

    private fun scanScores(threshold: Float) {
        // In units of the raw scores (and a hair, for rounding): only the few above it are looked at twice.
        val limit = if (scores.scale == 0f) threshold else floor(threshold.toDouble() / scores.scale + scores.zeroPoint + 1e-3).toFloat()
        for (pair in rawScores.indices) {
            if (rawScores[pair] > limit) add(pair, scores.value(rawScores[pair]))
        }
    }

    /** A score is the product of an object's probability and its class's, and so never above the first. */
    private fun scanProducts(threshold: Float) {
        for (row in 0 until boxes.shape[1]) {
            val present = sigmoid(scores.value(rawScores[row * depth]))
            if (present <= threshold) continue
            for (label in 0 until classes) {
                val score = (present * sigmoid(scores.value(rawScores[row * depth + 1 + label]))).toFloat()
                if (score > threshold) add(row * classes + label, score)
            }
        }
    }

    private fun scanLogits(threshold: Float) {
        val limit = ln(threshold.toDouble() / (1 - threshold)).toFloat() - 1e-3f // few sigmoids are computed
        for (pair in rawScores.indices) {
            val logit = scores.value(rawScores[pair])
            if (logit <= limit) continue
            val score = sigmoid(logit).toFloat()
            if (score > threshold) add(pair, score)
        }
    }

    private fun add(pair: Int, score: Float) {
        if (count == pairs.size) {
            pairs = pairs.copyOf(2 * count)
            likely = likely.copyOf(2 * count)
        }
        pairs[count] = pair
        likely[count++] = score
    }

    private fun box(row: Int, label: Int, score: Float): Detection {
        val numbers = FloatArray(4) { boxes.value(rawBoxes[4 * row + it]) }
        if (decoder != null) return decoder.box(row, numbers, label, score)
        val (a, b, c, d) = numbers
        return Detection(b - d / 2, a - c / 2, b + d / 2, a + c / 2, label, score) // centre y, centre x, height, width
    }
}

/** Greedy suppression of boxes, best first: a better box drops those of its class that overlap it by more. */
fun suppress(boxes: List<Detection>, iouThreshold: Float): List<Detection> {
    val kept = ArrayList<Detection>()
    for (box in boxes) {
        if (kept.none { it.label == box.label && overlap(it, box) > iouThreshold }) kept.add(box)
    }
    return kept
}

/** Intersection over union; 0 without an area. */
fun overlap(a: Detection, b: Detection): Float {
    val width = minOf(a.x2, b.x2) - maxOf(a.x1, b.x1)
    val height = minOf(a.y2, b.y2) - maxOf(a.y1, b.y1)
    val shared = maxOf(width, 0f) * maxOf(height, 0f)
    val area = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1)
    return shared / maxOf(area - shared, 1e-12f)
}
