package cspkeras.demo

import cspkeras.demo.logic.ModelException
import cspkeras.demo.logic.ModelFile
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class ModelFileTest {
    @Test
    fun settingsAndLabelsAreRead() {
        val model = ModelFile.read(VECTORS.resolve("good.tflite"))
        assertEquals(listOf("a cat", "dög"), model.labels)
        assertEquals(listOf(64, 96, 114), listOf(model.height, model.width, model.fill))
        assertEquals(listOf("Made", "float32", true), listOf(model.name, model.precision, model.letterbox))
        assertEquals(listOf(0f, 1 / 255f, 0.25f, 0.5f), listOf(model.mean, model.scale, model.scoreThreshold, model.iouThreshold))
    }

    @Test
    fun whatCannotBeUsedIsSaid() {
        val messages = mapOf(
            "other_boxes.tflite" to "boxes is xyxy", "no_decode.tflite" to "decode",
            "lacking.tflite" to "not known here", "no_json.tflite" to "not known here",
            "bare.tflite" to "carries no cspkeras settings", "empty.tflite" to "not a .tflite file",
            "text.tflite" to "not a .tflite file", "missing.tflite" to "can't be read",
        )
        for ((name, text) in messages) {
            val error = assertThrows(name, ModelException::class.java) { ModelFile.read(VECTORS.resolve(name)) }
            assertTrue("$name: ${error.message}", text in error.message!! && name in error.message!!)
        }
    }
}
