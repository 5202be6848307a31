package cspkeras.demo

import android.content.Context
import java.io.File

private const val FOLDER = "models"

/** The .tflite files in the assets. */
class Models(private val context: Context) {
    val names: List<String> = context.assets.list(FOLDER).orEmpty().filter { it.endsWith(".tflite") }.sorted()

    /** One of them as a file, which is what TensorFlow Lite maps into memory; copied once for each installation. */
    fun file(name: String): File {
        val installed = context.packageManager.getPackageInfo(context.packageName, 0).lastUpdateTime
        val file = File(context.codeCacheDir, name)
        if (file.exists() && file.lastModified() >= installed) return file
        val aside = File(context.codeCacheDir, "$name.part")
        context.assets.open("$FOLDER/$name").use { from -> aside.outputStream().use { from.copyTo(it) } }
        aside.renameTo(file)
        return file
    }
}
