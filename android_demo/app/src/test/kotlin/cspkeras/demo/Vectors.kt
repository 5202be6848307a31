package cspkeras.demo

import cspkeras.demo.logic.ModelFile
import cspkeras.demo.logic.Network
import cspkeras.demo.logic.Number
import cspkeras.demo.logic.Tensor
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Base64
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream
import org.json.JSONArray
import org.json.JSONObject

/** The folder that vectors.py wrote. */
val VECTORS = File(System.getProperty("vectors") ?: "build/vectors")

fun vectors(name: String) = JSONArray(VECTORS.resolve("$name.json").readText()).map { it as JSONObject }

fun JSONObject.bytes(key: String): ByteArray = Base64.getDecoder().decode(getString(key))

/** A picture's RGB bytes as the application has them. */
fun JSONObject.pixels(): IntArray {
    val bytes = bytes("pixels")
    fun byte(i: Int) = bytes[i].toInt() and 255
    return IntArray(bytes.size / 3) { (byte(3 * it) shl 16) or (byte(3 * it + 1) shl 8) or byte(3 * it + 2) }
}

fun buffer(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())

/** A tensor with the numbers of the vectors, or zeros of as many. */
fun JSONObject.tensor(filled: Boolean): Tensor {
    val data = bytes("data")
    val buffer = buffer(data.size)
    if (filled) buffer.duplicate().put(data)
    val shape = optJSONArray("shape")?.map { it as Int } ?: emptyList()
    val type = Number.valueOf(getString("type").uppercase())
    return Tensor(buffer, shape, type, getDouble("scale").toFloat(), getInt("zero_point"))
}

/** A file with these settings, without a network. */
fun modelFile(settings: JSONObject, labels: List<String>): ModelFile {
    val file = File.createTempFile("model", ".tflite").apply { deleteOnExit() }
    file.outputStream().use { stream ->
        stream.write("\u001c\u0000\u0000\u0000TFL3".toByteArray())
        ZipOutputStream(stream).apply {
            putNextEntry(ZipEntry("cspkeras.json"))
            write(settings.toString().toByteArray())
            putNextEntry(ZipEntry("labels.txt"))
            write(labels.joinToString("") { "$it\n" }.toByteArray())
            finish()
        }
    }
    return ModelFile.read(file)
}

/** A network that finds one thing in the middle of whatever it sees; `failure` is thrown when it runs. */
class MadeUpNetwork(model: ModelFile, private val failure: Throwable? = null) : Network {
    override val input = Tensor(buffer(model.width * model.height * 12), emptyList(), Number.FLOAT32, 0f, 0)
    override val boxes = Tensor(buffer(16), listOf(1, 1, 4), Number.FLOAT32, 0f, 0)
    override val scores = Tensor(buffer(4 * model.labels.size), listOf(1, 1, model.labels.size), Number.FLOAT32, 0f, 0)
    var closed = false

    override fun run() {
        check(!closed)
        failure?.let { throw it }
        listOf(0.5f, 0.5f, 0.5f, 0.5f).forEachIndexed { i, value -> boxes.buffer.putFloat(4 * i, value) }
        scores.buffer.putFloat(0, 0.875f)
    }

    override fun close() {
        closed = true
    }
}
