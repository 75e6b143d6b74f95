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
 * Stretches a photo to a square, as training did: bilinear between the four nearest pixels, half-pixel centres, no
 * antialiasing, transparent parts black. Android's own scaling of bitmaps differs in all of these.
 *
 * @param put is called with red, green and blue of each pixel, row by row
 */
inline fun stretch(photo: Photo, size: Int, put: (Int) -> Unit) {
    for (row in 0 until size) {
        val y = (row + 0.5) * (photo.height.toDouble() / size) - 0.5
        val top = floor(y).toInt()
        val y0 = top.coerceAtLeast(0)
        val y1 = (top + 1).coerceAtMost(photo.height - 1)
        for (column in 0 until size) {
            val x = (column + 0.5) * (photo.width.toDouble() / size) - 0.5
            val left = floor(x).toInt()
            val x0 = left.coerceAtLeast(0)
            val x1 = (left + 1).coerceAtMost(photo.width - 1)
            val a = photo.argb(x0, y0)
            val b = photo.argb(x1, y0)
            val c = photo.argb(x0, y1)
            val d = photo.argb(x1, y1)
            for (shift in 16 downTo 0 step 8) {
                val upper = mix(channel(a, shift), channel(b, shift), x - left)
                val lower = mix(channel(c, shift), channel(d, shift), x - left)
                put(mix(upper, lower, y - top).toInt())
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
