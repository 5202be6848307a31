package cspkeras.demo

import android.Manifest
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.content.pm.PackageManager
import android.content.res.Configuration
import android.graphics.Bitmap
import android.graphics.Matrix
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraManager
import android.net.Uri
import android.os.Bundle
import android.view.TextureView
import android.view.View
import android.widget.Button
import android.widget.ImageView
import android.widget.SeekBar
import android.widget.TextView
import cspkeras.demo.logic.*
import java.io.File
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

private const val PICK = 1

/** The one screen: preview or picture, boxes over it, a bar of figures, buttons. */
class MainActivity : Activity(), TextureView.SurfaceTextureListener {
    private val preview by lazy { findViewById<TextureView>(R.id.preview) }
    private val still by lazy { findViewById<ImageView>(R.id.still) }
    private val overlay by lazy { findViewById<OverlayView>(R.id.overlay) }
    private val status by lazy { findViewById<TextView>(R.id.status) }
    private val message by lazy { findViewById<TextView>(R.id.message) }
    private val thresholdBar by lazy { findViewById<SeekBar>(R.id.threshold) }

    // The detector lives on one thread, which also decodes pictures. What is offered after its end is dropped.
    private val worker = ThreadPoolExecutor(
        1, 1, 0, TimeUnit.SECONDS, LinkedBlockingQueue(), ThreadPoolExecutor.DiscardPolicy()
    )
    private val frames = Newest(worker, ::detectFrame)
    private var detector: Detector? = null

    private lateinit var models: Models
    private lateinit var camera: Camera
    private var model = 0
    private var processor = Processor.GPU
    private var front = false
    private var lens: Lens? = null
    private var asked = false
    private var problem: String? = null // with the model: said while there is nothing else to say
    private var picture: Bitmap? = null // null: live
    private val rate = FrameRate()

    @Volatile private var threshold = 0f
    @Volatile private var scene = 0 // counts changes of what is looked at: what was found in an older one is not shown

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.main)
        models = Models(this)
        camera = Camera(getSystemService(CameraManager::class.java), frames::offer) { why ->
            runOnUiThread { say(getString(R.string.camera_failed, why)) }
        }
        preview.surfaceTextureListener = this
        overlay.addOnLayoutChangeListener { _, _, _, _, _, _, _, _, _ -> arrange() }
        onClick(R.id.processor) { processor = Processor.values()[1 - processor.ordinal]; load() }
        onClick(R.id.model) { model++; load(itsThreshold = true) }
        onClick(R.id.turn) { front = !front; startLive() }
        onClick(R.id.picture) { if (picture == null) pick() else startLive() }
        thresholdBar.setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, progress: Int, byUser: Boolean) {
                threshold = progress / 100f
                findViewById<TextView>(R.id.threshold_text).text = getString(R.string.threshold, threshold)
            }

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = detectStill()
        })
        load(itsThreshold = true)
    }

    override fun onResume() {
        super.onResume()
        if (picture == null) startCamera()
    }

    override fun onPause() {
        camera.stop()
        super.onPause()
    }

    override fun onDestroy() {
        camera.release()
        worker.execute { detector?.close() }
        worker.shutdown()
        super.onDestroy()
    }

    override fun onConfigurationChanged(configuration: Configuration) {
        super.onConfigurationChanged(configuration)
        arrange()
    }

    private fun onClick(id: Int, action: () -> Unit) = findViewById<Button>(id).setOnClickListener { action() }

    /** Shows a message in the middle of the screen; null takes it away. */
    private fun say(text: String?) {
        message.text = text ?: problem
        message.visibility = if (message.text.isEmpty()) View.GONE else View.VISIBLE
    }

    // The model

    private fun load(itsThreshold: Boolean = false) {
        problem = if (models.names.isEmpty()) getString(R.string.no_model) else null
        say(null)
        if (problem != null) return
        val name = models.names[model % models.names.size]
        val wanted = processor
        status.text = "$name, $wanted ..."
        work(R.string.model_failed) {
            detector?.close()
            detector = null
            val loaded = Detector(ModelFile.read(models.file(name)), wanted, File(codeCacheDir, "gpu_trial"), openNetwork)
            detector = loaded
            val percent = Math.round(loaded.model.scoreThreshold * 100)
            runOnUiThread { if (itsThreshold) thresholdBar.progress = percent; detectStill() }
        }
    }

    /** Does what may fail on the detector's thread; what fails is said, with one of the texts. */
    private fun work(text: Int, action: () -> Unit) = worker.execute {
        try {
            action()
        } catch (error: Exception) {
            fail(text, error)
        } catch (error: OutOfMemoryError) {
            fail(text, error)
        }
    }

    private fun fail(text: Int, error: Throwable) {
        runOnUiThread {
            val said = getString(text, error.message ?: error.javaClass.simpleName)
            if (text == R.string.model_failed) problem = said
            say(said)
        }
    }

    private fun detectFrame(frame: YuvFrame) {
        val detector = detector
        if (detector != null) detect(detector) { frame.toPicture() }
        camera.recycle(frame)
    }

    private fun detect(running: Detector, source: () -> Picture) {
        val looked = scene
        try {
            val result = running.detect(threshold, source)
            runOnUiThread { if (looked == scene) show(running, result) }
        } catch (error: Exception) { // not even the CPU can
            detector = null
            running.close()
            fail(R.string.model_failed, error)
        }
    }

    private fun show(running: Detector, result: Result) {
        arrange()
        val picture = result.picture
        val mirrored = this.picture == null && lens?.front == true
        val viewport = Viewport(picture.width, picture.height, overlay.width, overlay.height, mirrored)
        overlay.show(result.detections, running.model.labels, viewport)
        val fps = if (this.picture == null) "%.1f frames/s".format(rate.tick(System.nanoTime())) else "picture"
        val reason = running.reason?.let { "\nno GPU: $it" }.orEmpty()
        status.text = "%s %s, %s, %s\nbefore %.1f, inference %.1f, after %.1f ms%s".format(
            running.model.name, running.model.precision, running.processor, fps,
            result.times.before, result.times.inference, result.times.after, reason
        )
    }

    // The camera

    private fun startLive() {
        picture = null
        still.visibility = View.GONE
        findViewById<Button>(R.id.picture).setText(R.string.picture)
        startCamera()
    }

    private fun startCamera() {
        scene++
        overlay.show(emptyList(), emptyList(), null)
        if (checkSelfPermission(Manifest.permission.CAMERA) != PackageManager.PERMISSION_GRANTED) {
            if (asked) return say(getString(R.string.refused))
            asked = true
            return requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
        }
        try {
            val found = camera.lens(front)
            lens = found
            say(if (found == null) getString(R.string.no_camera) else null)
            if (found == null) return
            arrange()
            camera.start(found, preview.surfaceTexture ?: return) // its listener comes back
        } catch (error: Exception) { // of access, state, argument, security
            say(getString(R.string.camera_failed, error.message))
        }
    }

    override fun onRequestPermissionsResult(code: Int, permissions: Array<String>, results: IntArray) {
        if (picture == null) startCamera()
    }

    /** Puts the preview where the frames' boxes will be, for the way the display is turned now. */
    private fun arrange() {
        val lens = lens ?: return
        @Suppress("DEPRECATION") // what replaces it begins with Android 11
        val display = windowManager.defaultDisplay.rotation * 90
        camera.rotation = uprightRotation(lens.sensor, display, lens.front)
        val turned = camera.rotation % 180 != 0
        val width = if (turned) lens.frame.second else lens.frame.first
        val height = if (turned) lens.frame.first else lens.frame.second
        val viewport = Viewport(width, height, preview.width, preview.height, lens.front)
        val transform = PreviewTransform(viewport, width, height, preview.width, preview.height, display)
        preview.setTransform(Matrix().apply {
            setScale(transform.scaleX, transform.scaleY, preview.width / 2f, preview.height / 2f)
            postRotate(transform.degrees.toFloat(), preview.width / 2f, preview.height / 2f)
        })
    }

    override fun onSurfaceTextureAvailable(texture: SurfaceTexture, width: Int, height: Int) {
        if (picture == null) startCamera()
    }

    override fun onSurfaceTextureSizeChanged(texture: SurfaceTexture, width: Int, height: Int) = arrange()

    override fun onSurfaceTextureDestroyed(texture: SurfaceTexture): Boolean {
        camera.stop()
        return true
    }

    override fun onSurfaceTextureUpdated(texture: SurfaceTexture) = Unit

    // A picture

    private fun pick() {
        val intent = Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        try {
            startActivityForResult(intent, PICK)
        } catch (error: ActivityNotFoundException) {
            say(getString(R.string.no_picker))
        }
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val uri = data?.data
        if (request == PICK && result == RESULT_OK && uri != null) open(uri)
    }

    private fun open(uri: Uri) = work(R.string.picture_failed) {
        val bitmap = readPicture(contentResolver, uri)
        runOnUiThread {
            camera.stop()
            scene++
            picture = bitmap
            still.setImageBitmap(bitmap)
            still.visibility = View.VISIBLE
            overlay.show(emptyList(), emptyList(), null)
            findViewById<Button>(R.id.picture).setText(R.string.live)
            say(null)
            detectStill()
        }
    }

    private fun detectStill() {
        val bitmap = picture ?: return
        work(R.string.model_failed) { detector?.let { detect(it, bitmap::toPicture) } }
    }

    companion object {
        /** How a model is loaded; a test puts something of its own in here. */
        var openNetwork: (ModelFile, Processor) -> Network = ::TfliteNetwork
    }
}
