package cspkeras.demo

import cspkeras.demo.logic.Detection
import cspkeras.demo.logic.PreviewTransform
import cspkeras.demo.logic.Viewport
import cspkeras.demo.logic.frameSize
import cspkeras.demo.logic.previewSize
import cspkeras.demo.logic.sampleSize
import cspkeras.demo.logic.uprightRotation
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test

class GeometryTest {
    @Test
    fun framesStandUprightHoweverThePhoneIsHeld() {
        assertEquals(listOf(90, 0, 270, 180), listOf(0, 90, 180, 270).map { uprightRotation(90, it, front = false) })
        assertEquals(listOf(270, 0, 90, 180), listOf(0, 90, 180, 270).map { uprightRotation(270, it, front = true) })
    }

    /** A corner of the sensor's picture, by way of the preview, and by way of the frames and their boxes. */
    @Test
    fun boxesLieWhereThePreviewHasTheThings() {
        for (view in listOf(1080 to 1920, 1920 to 1080)) for (display in listOf(0, 90, 180, 270)) {
            val (width, height) = if (display % 180 == 0) 480 to 640 else 640 to 480 // of a sensor turned by 90
            val viewport = Viewport(width, height, view.first, view.second, mirrored = false)
            val transform = PreviewTransform(viewport, width, height, view.first, view.second, display)
            // The thing in the top left corner as the phone is built, seen on the display turned by -display:
            val corner = when (display) { 0 -> 0 to 0; 90 -> 0 to height; 180 -> width to height; else -> width to 0 }
            val box = viewport.place(Detection(corner.first.toFloat(), corner.second.toFloat(), 0f, 0f, 0, 1f))
            val x = -view.first / 2.0 * transform.scaleX
            val y = -view.second / 2.0 * transform.scaleY
            val angle = Math.toRadians(transform.degrees.toDouble())
            assertEquals(box.x1.toDouble(), view.first / 2.0 + x * Math.cos(angle) - y * Math.sin(angle), 0.01)
            assertEquals(box.y1.toDouble(), view.second / 2.0 + x * Math.sin(angle) + y * Math.cos(angle), 0.01)
        }
    }

    @Test
    fun aFrontCamerasBoxesAreMirrored() {
        val box = Viewport(100, 200, 200, 200, mirrored = true).place(Detection(0f, 10f, 30f, 40f, 0, 1f))
        assertEquals(listOf(120f, 10f, 150f, 40f), listOf(box.x1, box.y1, box.x2, box.y2))
    }

    @Test
    fun sizesAreChosen() {
        val sizes = listOf(4000 to 3000, 1920 to 1080, 1440 to 1080, 640 to 480, 320 to 240)
        assertEquals(640 to 480, frameSize(sizes, 480))
        assertEquals(4000 to 3000, frameSize(sizes, 5000))
        assertNull(frameSize(emptyList(), 480))
        assertEquals(1440 to 1080, previewSize(sizes, 640 to 480))
        assertEquals(352 to 288, previewSize(sizes, 352 to 288))
        val fiftyMegapixels = sampleSize(8160, 6120, 2048)
        assertEquals(listOf(4, 1, 2), listOf(fiftyMegapixels, sampleSize(2048, 1, 2048), sampleSize(1, 2049, 2048)))
    }
}
