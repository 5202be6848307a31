package cspkeras.demo

import cspkeras.demo.logic.Number
import cspkeras.demo.logic.Picture
import cspkeras.demo.logic.Placement
import cspkeras.demo.logic.Postprocessor
import cspkeras.demo.logic.Preprocessor
import cspkeras.demo.logic.Tensor
import cspkeras.demo.logic.YuvFrame
import java.nio.ByteBuffer
import java.util.Random
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** The application beside Python. */
class VectorsTest {
    @Test
    fun boxesAreThoseOfPython() {
        val cases = vectors("outputs") + vectors("raw")
        assertTrue(cases.size >= 260)
        for ((number, case) in cases.withIndex()) {
            val model = modelFile(case.getJSONObject("settings"), case.getJSONArray("labels").map { it as String })
            val (boxes, scores) = case.getJSONArray("tensors").map { (it as JSONObject).tensor(filled = true) }
            val picture = case.getJSONObject("picture")
            val placement = Placement(picture.getInt("width"), picture.getInt("height"), model)
            val found = Postprocessor(model, boxes, scores).detect(placement, case.getDouble("threshold").toFloat())
            val expected = case.getJSONArray("found").map { it as JSONArray }
            assertEquals("case $number", expected.size, found.size)
            for ((box, wanted) in found.zip(expected)) {
                val sides = listOf(box.x1, box.y1, box.x2, box.y2)
                for (i in 0..3) assertEquals("case $number", wanted.getDouble(i), sides[i].toDouble(), 1.0)
                assertEquals("case $number", wanted.getInt(4), box.label)
                assertEquals("case $number", wanted.getDouble(5), box.score.toDouble(), 1e-4)
            }
        }
    }

    /** Within a grey level and a step: which of the two directions Pillow resizes first depends on its version. */
    @Test
    fun inputsAreThoseOfPython() {
        for ((number, case) in vectors("inputs").withIndex()) {
            val model = modelFile(case.getJSONObject("settings"), listOf("one"))
            val expected = case.getJSONObject("tensor").tensor(filled = true)
            val input = case.getJSONObject("tensor").tensor(filled = false)
            Preprocessor(model, input).write(Picture(case.getInt("width"), case.getInt("height"), case.pixels()))
            val count = input.buffer.capacity() / input.type.bytes
            val (made, wanted) = listOf(input, expected).map { tensor -> FloatArray(count).also(tensor::read) }
            val tolerance = 1.001f * model.scale + input.scale / 2
            for (i in 0 until count) {
                assertEquals("case $number", input.value(wanted[i]), input.value(made[i]), tolerance)
            }
        }
    }

    @Test
    fun framesBecomeUprightPictures() {
        for ((number, case) in vectors("frames").withIndex()) {
            val frame = YuvFrame(case.getInt("width"), case.getInt("height"))
            frame.rotation = case.getInt("rotation")
            case.getJSONArray("planes").map { it as JSONObject }.forEachIndexed { i, plane ->
                val buffer = ByteBuffer.wrap(plane.bytes("data"))
                frame.set(i, buffer, plane.getInt("row_stride"), plane.getInt("pixel_stride"))
            }
            val expected = case.pixels()
            val made = frame.toPicture().pixels
            for (i in expected.indices) for (shift in listOf(0, 8, 16)) {
                assertEquals("case $number", expected[i] shr shift and 255, made[i] shr shift and 255, 1)
            }
        }
    }

    /** Prints how long it takes; 80 classes, 30 scores above the threshold. */
    @Test
    fun aFrameOf416HasAllItsBoxesEveryTime() {
        val random = Random(0)
        val settings = vectors("outputs").map { it.getJSONObject("settings") }.first { it.getJSONObject("input").getInt("width") == 416 }
        val model = modelFile(settings, List(80) { "class $it" })
        val boxes = Tensor(buffer(3549 * 16), listOf(1, 3549, 4), Number.FLOAT32, 0f, 0)
        val scores = Tensor(buffer(3549 * 320), listOf(1, 3549, 80), Number.FLOAT32, 0f, 0)
        for (i in 0 until 3549 * 4) boxes.buffer.putFloat(4 * i, if (i % 4 < 2) random.nextFloat() else 0.001f)
        for (i in 0 until 3549 * 80) scores.buffer.putFloat(4 * i, random.nextFloat() * 0.2f)
        for (i in 0 until 30) scores.buffer.putFloat(4 * random.nextInt(3549 * 80), 0.5f)
        val postprocessor = Postprocessor(model, boxes, scores)
        val times = List(300) {
            val start = System.nanoTime()
            assertEquals(30, postprocessor.detect(Placement(640, 480, model), 0.25f).size)
            (System.nanoTime() - start) / 1e6
        }
        println("post-processing of a 416 frame, 3549 boxes of 80 classes: %.2f ms".format(times.sorted()[150]))
    }

    private fun assertEquals(message: String, expected: Int, found: Int, tolerance: Int) =
        assertTrue("$message: $expected, found $found", Math.abs(expected - found) <= tolerance)
}
