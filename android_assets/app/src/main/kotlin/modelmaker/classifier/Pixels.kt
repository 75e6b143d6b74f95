package modelmaker.classifier

import kotlin.math.floor

/** An upright photo, pixel by pixel. */
interface Photo {
    val width: Int
    val height: Int

    /** A pixel as 0xAARRGGBB, not multiplied by its alpha. */
    fun argb(x: Int, y: Int): Int
}

/**
 * The input of a model, and how photos are fitted to it, as the model's metadata says: "stretch", "letterbox" (scaled as
 * a whole, centered on black) or "crop" (the middle, scaled). Boxes are left, top, width and height.
 */
class Fit(val height: Int, val width: Int, private val resize: String) {
    /** The part of a photo that is used. */
    fun source(photo: Photo) =
        if (resize == "crop") centered(photo.width, photo.height, width, height) else intArrayOf(0, 0, photo.width, photo.height)

    /** The part of the input that shows it; the rest is black. */
    fun target(photo: Photo) =
        if (resize == "letterbox") centered(width, height, photo.width, photo.height) else intArrayOf(0, 0, width, height)

    /** The largest box of a shape in the middle of another box. */
    private fun centered(width: Int, height: Int, shapeWidth: Int, shapeHeight: Int): IntArray {
        val wide = width * shapeHeight > height * shapeWidth
        val w = if (wide) maxOf(1, (2 * height * shapeWidth + shapeHeight) / (2 * shapeHeight)) else width
        val h = if (wide) height else maxOf(1, (2 * width * shapeHeight + shapeWidth) / (2 * shapeWidth))
        return intArrayOf((width - w) / 2, (height - h) / 2, w, h)
    }
}

/**
 * Fits a photo to the input, as training did: bilinear between the four nearest pixels, half-pixel centers, no
 * antialiasing, transparent parts black. Android's own scaling of bitmaps differs in all of these.
 *
 * @param put is called with red, green and blue of each pixel, row by row
 */
inline fun fit(photo: Photo, fit: Fit, put: (Int) -> Unit) {
    val (sx, sy, sw, sh) = fit.source(photo)
    val (tx, ty, tw, th) = fit.target(photo)
    for (row in 0 until fit.height) {
        val y = (row - ty + 0.5) * (sh.toDouble() / th) - 0.5
        val top = floor(y).toInt()
        val y0 = sy + top.coerceIn(0, sh - 1)
        val y1 = sy + (top + 1).coerceIn(0, sh - 1)
        for (column in 0 until fit.width) {
            val x = (column - tx + 0.5) * (sw.toDouble() / tw) - 0.5
            val left = floor(x).toInt()
            val x0 = sx + left.coerceIn(0, sw - 1)
            val x1 = sx + (left + 1).coerceIn(0, sw - 1)
            val shown = row in ty until ty + th && column in tx until tx + tw
            val a = photo.argb(x0, y0)
            val b = photo.argb(x1, y0)
            val c = photo.argb(x0, y1)
            val d = photo.argb(x1, y1)
            for (shift in 16 downTo 0 step 8) {
                val upper = mix(channel(a, shift), channel(b, shift), x - left)
                val lower = mix(channel(c, shift), channel(d, shift), x - left)
                put(if (shown) mix(upper, lower, y - top).toInt() else 0)
            }
        }
    }
}

@PublishedApi
internal fun mix(a: Double, b: Double, share: Double) = a + (b - a) * share

@PublishedApi
internal fun channel(argb: Int, shift: Int): Double {
    val alpha = argb ushr 24
    val value = (argb ushr shift) and 0xFF
    return if (alpha == 255) value.toDouble() else ((value * alpha + 127) / 255).toDouble()
}
