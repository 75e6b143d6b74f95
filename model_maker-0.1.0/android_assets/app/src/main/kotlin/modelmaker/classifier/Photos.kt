package modelmaker.classifier

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import android.net.Uri
import androidx.camera.core.ImageProxy

/** A picked photo. */
class BitmapPhoto(val bitmap: Bitmap) : Photo {
    override val width = bitmap.width
    override val height = bitmap.height

    override fun argb(x: Int, y: Int) = bitmap.getPixel(x, y)
}

/** A frame of the camera in RGBA_8888, which CameraX has turned upright. */
class FramePhoto(frame: ImageProxy) : Photo {
    override val width = frame.width
    override val height = frame.height
    private val plane = frame.planes[0]
    private val pixels = plane.buffer // big-endian, so an Int is 0xRRGGBBAA

    override fun argb(x: Int, y: Int): Int {
        val rgba = pixels.getInt(y * plane.rowStride + x * plane.pixelStride)
        return (rgba ushr 8) or (0xFF shl 24)
    }
}

// A bitmap takes four bytes a pixel; photos beyond this are halved until they fit.
private const val MOST_PIXELS = 24_000_000L

/** Decodes a photo upright, in sRGB, in memory that `getPixel` may read. */
fun decode(resolver: ContentResolver, uri: Uri): Bitmap =
    ImageDecoder.decodeBitmap(ImageDecoder.createSource(resolver, uri)) { decoder, info, _ ->
        decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
        var sample = 1
        while (info.size.width.toLong() * info.size.height / (sample * sample) > MOST_PIXELS) sample *= 2
        decoder.setTargetSampleSize(sample)
    }
