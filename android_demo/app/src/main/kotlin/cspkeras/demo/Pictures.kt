package cspkeras.demo

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import cspkeras.demo.logic.Picture
import cspkeras.demo.logic.sampleSize
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream

private const val LIMIT = 2048 // of a side in memory: no network sees more

/** Reads a picture of any size upright and smaller than [LIMIT], transparent parts on white. */
fun readPicture(resolver: ContentResolver, uri: Uri): Bitmap {
    val options = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    resolver.read(uri) { BitmapFactory.decodeStream(it, null, options) }
    if (options.outWidth < 1 || options.outHeight < 1) throw IOException("it is in no format known here")
    options.inSampleSize = sampleSize(options.outWidth, options.outHeight, LIMIT)
    options.inJustDecodeBounds = false
    val bitmap = resolver.read(uri) { BitmapFactory.decodeStream(it, null, options) } ?: throw IOException("it is damaged")
    val turn = resolver.read(uri, ::orientation)
    val corners = floatArrayOf(0f, 0f, bitmap.width.toFloat(), bitmap.height.toFloat())
    turn.mapPoints(corners)
    turn.postTranslate(-minOf(corners[0], corners[2]), -minOf(corners[1], corners[3]))
    val width = Math.round(Math.abs(corners[2] - corners[0]))
    val height = Math.round(Math.abs(corners[3] - corners[1]))
    val upright = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
    Canvas(upright).apply {
        drawColor(Color.WHITE)
        drawBitmap(bitmap, turn, null)
    }
    return upright
}

fun Bitmap.toPicture() = Picture(width, height, IntArray(width * height).also { getPixels(it, 0, width, 0, 0, width, height) })

private fun <T> ContentResolver.read(uri: Uri, use: (InputStream) -> T): T =
    (openInputStream(uri) ?: throw FileNotFoundException("it is gone")).use(use)

/** How a camera's picture has to be turned and mirrored, by the EXIF tag in it. */
private fun orientation(stream: InputStream): Matrix {
    val tag = try {
        ExifInterface(stream).getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
    } catch (error: IOException) {
        ExifInterface.ORIENTATION_NORMAL
    }
    val matrix = Matrix()
    when (tag) {
        ExifInterface.ORIENTATION_FLIP_HORIZONTAL -> matrix.setScale(-1f, 1f)
        ExifInterface.ORIENTATION_ROTATE_180 -> matrix.setRotate(180f)
        ExifInterface.ORIENTATION_FLIP_VERTICAL -> matrix.setScale(1f, -1f)
        ExifInterface.ORIENTATION_TRANSPOSE -> { matrix.setRotate(90f); matrix.postScale(-1f, 1f) }
        ExifInterface.ORIENTATION_ROTATE_90 -> matrix.setRotate(90f)
        ExifInterface.ORIENTATION_TRANSVERSE -> { matrix.setRotate(270f); matrix.postScale(-1f, 1f) }
        ExifInterface.ORIENTATION_ROTATE_270 -> matrix.setRotate(270f)
    }
    return matrix
}
