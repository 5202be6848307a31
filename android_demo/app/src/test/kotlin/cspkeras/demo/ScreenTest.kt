package cspkeras.demo

import android.Manifest
import android.app.Activity
import android.app.Application
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.net.Uri
import android.view.View
import android.widget.Button
import android.widget.TextView
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.InputStream
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowLooper

/** The whole application on a JVM, with its own resources, assets and graphics. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35], qualifiers = "w411dp-h891dp-xhdpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class ScreenTest {
    private val application: Application get() = RuntimeEnvironment.getApplication()
    private val loads = MainActivity.openNetwork

    @After
    fun reset() {
        MainActivity.openNetwork = loads
    }

    private fun MainActivity.text(id: Int) = findViewById<TextView>(id).text.toString()

    private fun MainActivity.shown(id: Int) = findViewById<View>(id).visibility == View.VISIBLE

    /** Lets threads run until it is so. */
    private fun await(what: String, so: () -> Boolean) {
        val end = System.nanoTime() + 20_000_000_000
        while (!so()) {
            assertTrue(what, System.nanoTime() < end)
            ShadowLooper.idleMainLooper()
            Thread.sleep(10)
        }
    }

    private fun start() = Robolectric.buildActivity(MainActivity::class.java).setup().get()

    private fun MainActivity.pick(content: (Int) -> InputStream?) {
        val uri = Uri.parse("content://pictures/1")
        var read = 0
        shadowOf(contentResolver).registerInputStreamSupplier(uri) { content(read++) }
        findViewById<Button>(R.id.picture).performClick()
        val request = shadowOf(this).nextStartedActivityForResult
        assertEquals(Intent.ACTION_GET_CONTENT, request.intent.action)
        shadowOf(this).receiveResult(request.intent, Activity.RESULT_OK, Intent().setData(uri))
    }

    /** A scene of two things as a JPEG file. */
    private fun scene(width: Int, height: Int): ByteArray {
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        Canvas(bitmap).apply {
            drawColor(Color.rgb(90, 120, 90))
            drawOval(width / 4f, height / 4f, 3 * width / 4f, 3 * height / 4f, Paint().apply { color = Color.YELLOW })
        }
        return ByteArrayOutputStream().also { bitmap.compress(Bitmap.CompressFormat.JPEG, 90, it) }.toByteArray()
    }

    private fun MainActivity.render(name: String): Bitmap {
        val root = window.decorView
        val bitmap = Bitmap.createBitmap(root.width, root.height, Bitmap.Config.ARGB_8888)
        root.draw(Canvas(bitmap))
        File(System.getProperty("screens") ?: "build", name).outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
        return bitmap
    }

    @Test
    fun aPictureGetsItsBoxes() {
        MainActivity.openNetwork = { model, _ -> MadeUpNetwork(model) }
        val activity = start()
        val file = scene(600, 800)
        activity.pick { file.inputStream() }
        await("boxes") { "inference" in activity.text(R.id.status) }
        assertTrue(activity.text(R.id.status), "GPU, picture\nbefore" in activity.text(R.id.status))
        assertEquals("Live", activity.text(R.id.picture))
        val label = activity.text(R.id.threshold_text)
        assertEquals("Score above 0.25", label)
        val screen = activity.render("picture.png")
        // The network's box spans the middle of its square input; the picture's sides are 3 to 4 and fill the width.
        val overlay = activity.findViewById<View>(R.id.overlay)
        val (x, y) = IntArray(2).also(overlay::getLocationInWindow)
        val left = (x + overlay.width * (0.5 - 0.25 * 4 / 3)).toInt()
        val colors = (left - 3..left + 3).map { screen.getPixel(it, y + overlay.height / 2) }.toSet()
        assertTrue("no box at $left", colors.any { Color.red(it) > 180 && Color.green(it) < 90 })
    }

    @Test
    fun aPictureOf50MegapixelsIsMadeSmall() {
        MainActivity.openNetwork = { model, _ -> MadeUpNetwork(model) }
        val activity = start()
        val file = scene(8160, 6120)
        activity.pick { file.inputStream() }
        await("boxes") { "inference" in activity.text(R.id.status) }
        val bitmap = readPicture(activity.contentResolver, Uri.parse("content://pictures/1"))
        assertEquals(2040 to 1530, bitmap.width to bitmap.height)
    }

    @Test
    fun whatIsNoPictureIsSaid() {
        MainActivity.openNetwork = { model, _ -> MadeUpNetwork(model) }
        val texts = mapOf("no picture".toByteArray() to "can't be read", ByteArray(0) to "can't be read", scene(64, 64).copyOf(300) to "can't be read")
        for ((bytes, text) in texts) {
            val activity = start()
            activity.pick { bytes.inputStream() }
            await("message") { text in activity.text(R.id.message) && activity.shown(R.id.message) }
        }
    }

    @Test
    fun aRefusedPermissionIsSaidAndNotAskedForAgain() {
        val activity = start()
        assertEquals(listOf(Manifest.permission.CAMERA), shadowOf(activity).lastRequestedPermission.requestedPermissions.toList())
        activity.onRequestPermissionsResult(0, arrayOf(Manifest.permission.CAMERA), intArrayOf(-1))
        assertEquals(activity.getString(R.string.refused), activity.text(R.id.message))
        assertTrue(activity.shown(R.id.message))
    }

    @Test
    fun aDeviceWithoutACameraIsSaid() {
        MainActivity.openNetwork = { model, _ -> MadeUpNetwork(model) }
        shadowOf(application).grantPermissions(Manifest.permission.CAMERA)
        val activity = start()
        assertEquals(activity.getString(R.string.no_camera), activity.text(R.id.message))
        assertTrue(activity.shown(R.id.message))
    }

    /** There is no TensorFlow Lite for this JVM: neither delegate nor interpreter can be loaded. */
    @Test
    fun aRuntimeThatCannotBeLoadedIsSaid() {
        val activity = start()
        await("message") { "can't be run" in activity.text(R.id.message) && activity.shown(R.id.message) }
        activity.render("failed.png")
        activity.findViewById<Button>(R.id.model).performClick()
        activity.findViewById<Button>(R.id.processor).performClick()
        await("message") { "can't be run" in activity.text(R.id.message) && activity.shown(R.id.message) }
    }

    @Test
    fun aGpuThatFailsIsSaidInTheBar() {
        MainActivity.openNetwork = { model, processor ->
            MadeUpNetwork(model, IllegalStateException("out of memory").takeIf { processor.name == "GPU" })
        }
        val activity = start()
        val file = scene(100, 100)
        activity.pick { file.inputStream() }
        await("fallback") { "CPU, picture" in activity.text(R.id.status) }
        assertTrue(activity.text(R.id.status).endsWith("no GPU: out of memory"))
    }
}
