package cspkeras.demo.logic

import java.nio.ByteBuffer

/** A camera's frame, copied from its planes: brightness at every pixel, two colours at every second. */
class YuvFrame(val width: Int, val height: Int) {
    private val planes = arrayOf(Plane(), Plane(), Plane())

    /** Degrees, clockwise, by which the frame has to be turned to stand upright: 0, 90, 180 or 270. */
    var rotation = 0

    /** Copies a plane (0: Y, 1: U, 2: V), whose pixels lie `pixelStride`, whose rows `rowStride` bytes apart. */
    fun set(plane: Int, bytes: ByteBuffer, rowStride: Int, pixelStride: Int) = planes[plane].set(bytes, rowStride, pixelStride)

    /** The upright picture, in the colours of JPEG (BT.601, all of 0..255), which Android's cameras give. */
    fun toPicture(): Picture {
        val turned = rotation % 180 != 0
        val picture = if (turned) Picture(height, width, IntArray(width * height)) else Picture(width, height, IntArray(width * height))
        // Where the frame's first pixel goes, and how far its neighbours to the right and below lie from it.
        val start = when (rotation) { 0 -> 0; 90 -> height - 1; 180 -> width * height - 1; else -> (width - 1) * height }
        val right = when (rotation) { 0 -> 1; 90 -> height; 180 -> -1; else -> -height }
        val down = when (rotation) { 0 -> width; 90 -> -1; 180 -> -width; else -> 1 }
        val (luma, blueness, redness) = planes
        for (y in 0 until height) {
            var at = start + y * down
            for (x in 0 until width) {
                val bright = luma.at(x, y) shl 16
                val u = blueness.at(x shr 1, y shr 1) - 128
                val v = redness.at(x shr 1, y shr 1) - 128
                val red = clip(bright + 91881 * v)
                val green = clip(bright - 22554 * u - 46802 * v)
                val blue = clip(bright + 116130 * u)
                picture.pixels[at] = (red shl 16) or (green shl 8) or blue
                at += right
            }
        }
        return picture
    }

    private fun clip(value: Int) = ((value + 32768) shr 16).coerceIn(0, 255)

    private class Plane {
        private var bytes = ByteArray(0)
        private var rowStride = 0
        private var pixelStride = 0

        fun set(buffer: ByteBuffer, rowStride: Int, pixelStride: Int) {
            val source = buffer.duplicate()
            source.rewind()
            if (bytes.size != source.remaining()) bytes = ByteArray(source.remaining())
            source.get(bytes)
            this.rowStride = rowStride
            this.pixelStride = pixelStride
        }

        fun at(x: Int, y: Int) = bytes[y * rowStride + x * pixelStride].toInt() and 255
    }
}
