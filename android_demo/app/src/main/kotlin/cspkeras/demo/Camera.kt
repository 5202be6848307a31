package cspkeras.demo

import android.annotation.SuppressLint
import android.graphics.ImageFormat
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.view.Surface
import cspkeras.demo.logic.YuvFrame
import cspkeras.demo.logic.frameSize
import cspkeras.demo.logic.previewSize
import java.util.concurrent.ConcurrentLinkedQueue

private const val SIDE = 480 // pixels, at least, of the frames for detection

/** A camera of the device: the degrees its sensor is turned by, and the sizes of what it gives. */
class Lens(val id: String, val front: Boolean, val sensor: Int, val frame: Pair<Int, Int>, val preview: Pair<Int, Int>)

/**
 * Runs a camera on a thread of its own: a preview on a texture, which nothing holds up, and frames for detection.
 *
 * `onFrame` gets the frames and returns one that is not needed any more, if there is one; `recycle` takes the others
 * back. `onError` gets what went wrong, on the camera's thread.
 */
class Camera(
    private val manager: CameraManager,
    private val onFrame: (YuvFrame) -> YuvFrame?,
    private val onError: (String) -> Unit,
) {
    private val thread = HandlerThread("camera").apply { start() }
    private val handler = Handler(thread.looper)
    private val spare = ConcurrentLinkedQueue<YuvFrame>()
    private var device: CameraDevice? = null
    private var reader: ImageReader? = null
    private var opening = 0 // counts starts and stops: a camera that opens after the next of them is closed again

    /** By how much frames have to be turned from now on. */
    @Volatile var rotation = 0

    /** The front or back camera, or whichever there is; null without any. */
    fun lens(front: Boolean): Lens? {
        val facing = if (front) CameraCharacteristics.LENS_FACING_FRONT else CameraCharacteristics.LENS_FACING_BACK
        val all = manager.cameraIdList.map { it to manager.getCameraCharacteristics(it) }
        val (id, traits) = all.firstOrNull { it.second.get(CameraCharacteristics.LENS_FACING) == facing }
            ?: all.firstOrNull() ?: return null
        val sizes = traits.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP) ?: return null
        val frame = frameSize(sizes.getOutputSizes(ImageFormat.YUV_420_888).orEmpty().map { it.width to it.height }, SIDE)
        val previews = sizes.getOutputSizes(SurfaceTexture::class.java).orEmpty().map { it.width to it.height }
        return Lens(
            id,
            traits.get(CameraCharacteristics.LENS_FACING) == CameraCharacteristics.LENS_FACING_FRONT,
            traits.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0,
            frame ?: return null,
            previewSize(previews, frame),
        )
    }

    @SuppressLint("MissingPermission") // the activity asks for it before
    fun start(lens: Lens, texture: SurfaceTexture) = onThread {
        shut()
        val ticket = opening
        texture.setDefaultBufferSize(lens.preview.first, lens.preview.second)
        val callback = object : CameraDevice.StateCallback() {
            override fun onOpened(camera: CameraDevice) {
                if (ticket != opening) return camera.close()
                device = camera
                guarded { capture(camera, lens, Surface(texture)) }
            }

            override fun onDisconnected(camera: CameraDevice) = failed(camera, "another application took it")

            override fun onError(camera: CameraDevice, error: Int) = failed(camera, "error $error")

            private fun failed(camera: CameraDevice, why: String) {
                camera.close()
                if (ticket == opening) fail(why)
            }
        }
        manager.openCamera(lens.id, callback, handler)
    }

    fun stop() = onThread { shut() }

    fun recycle(frame: YuvFrame) {
        spare.add(frame)
    }

    fun release() {
        stop()
        thread.quitSafely()
    }

    @Suppress("DEPRECATION") // what replaces createCaptureSession begins with Android 9
    private fun capture(camera: CameraDevice, lens: Lens, preview: Surface) {
        val frames = ImageReader.newInstance(lens.frame.first, lens.frame.second, ImageFormat.YUV_420_888, 3)
        frames.setOnImageAvailableListener({ guarded { take(it) } }, handler)
        reader = frames
        val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
        request.addTarget(preview)
        request.addTarget(frames.surface)
        request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE)
        val callback = object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) {
                if (camera === device) guarded { session.setRepeatingRequest(request.build(), null, handler) }
            }

            override fun onConfigureFailed(session: CameraCaptureSession) = fail("it refuses these sizes")
        }
        camera.createCaptureSession(listOf(preview, frames.surface), callback, handler)
    }

    private fun take(frames: ImageReader) {
        val image = frames.acquireLatestImage() ?: return
        val frame = spare.poll()?.takeIf { it.width == image.width && it.height == image.height }
            ?: YuvFrame(image.width, image.height)
        image.planes.forEachIndexed { i, plane -> frame.set(i, plane.buffer, plane.rowStride, plane.pixelStride) }
        image.close() // where this is not reached, the reader is closed, and its images with it
        frame.rotation = rotation
        onFrame(frame)?.let(::recycle)
    }

    private fun shut() {
        opening++
        device?.close()
        reader?.close()
        device = null
        reader = null
    }

    private fun onThread(work: () -> Unit) {
        handler.post { guarded(work) }
    }

    /** What a camera can't do it says by many exceptions: of access, state, argument, security. */
    private fun guarded(work: () -> Unit) {
        try {
            work()
        } catch (error: Exception) {
            fail(error.message ?: error.javaClass.simpleName)
        }
    }

    private fun fail(why: String) {
        shut()
        onError(why)
    }
}
