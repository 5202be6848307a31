package cspkeras.demo.logic

import java.io.File
import java.io.IOException
import java.util.zip.ZipFile
import org.json.JSONException
import org.json.JSONObject

/** A .tflite file written by cspkeras, with the settings and class names of the zip archive at its end. */
class ModelFile private constructor(val file: File, settings: JSONObject, val labels: List<String>) {
    private val input = settings.getJSONObject("input")
    val name: String = settings.getString("model")
    val precision: String = settings.getString("precision")
    val height = input.getInt("height")
    val width = input.getInt("width")
    val mean = input.getDouble("mean").toFloat()
    val scale = input.getDouble("scale").toFloat()
    val letterbox = known(input, "resize", "letterbox", "stretch") == "letterbox"
    val fill = input.getInt("fill")
    val scoreThreshold = settings.getDouble("score_threshold").toFloat()
    val iouThreshold = settings.getDouble("iou_threshold").toFloat()

    /** Of a file whose boxes are raw; null where the file decodes them. */
    val decoder =
        if (known(settings, "boxes", "cyxhw", "raw") == "cyxhw") null
        else Decoder(settings.getJSONObject("decode"), width, height)

    init {
        known(settings, "format", "1")
        known(settings, "task", "detection")
        known(input, "colors", "RGB")
    }

    private fun known(settings: JSONObject, key: String, vararg values: String): String {
        val value = settings.get(key).toString()
        if (value !in values) throw JSONException("$key is $value, known here: ${values.joinToString()}")
        return value
    }

    companion object {
        private val MAGIC = "TFL3".toByteArray()

        /** Reads a file's settings; a [ModelException] says what is wrong with it. */
        fun read(file: File): ModelFile {
            val start = ByteArray(8)
            try {
                file.inputStream().use { it.read(start) }
            } catch (error: IOException) {
                throw ModelException("${file.name} can't be read: ${error.message}")
            }
            if (!start.copyOfRange(4, 8).contentEquals(MAGIC)) throw ModelException("${file.name} is not a .tflite file")
            try {
                ZipFile(file).use { archive ->
                    fun text(entry: String) = archive.getInputStream(
                        archive.getEntry(entry) ?: throw IOException("no $entry")
                    ).use { it.readBytes().toString(Charsets.UTF_8) }
                    val labels = text("labels.txt").lines().dropLastWhile { it.isEmpty() }
                    return ModelFile(file, JSONObject(text("cspkeras.json")), labels)
                }
            } catch (error: IOException) {
                throw ModelException("${file.name} carries no cspkeras settings; export it with cspkeras")
            } catch (error: JSONException) {
                throw ModelException("${file.name} has settings that are not known here: ${error.message}")
            }
        }
    }
}

/** A model can't be used; the message is for the screen. */
class ModelException(message: String) : Exception(message)
