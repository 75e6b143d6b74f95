package modelmaker.classifier

import android.graphics.BitmapFactory
import java.nio.ByteBuffer
import kotlin.math.abs
import org.tensorflow.lite.InterpreterApi
import org.tensorflow.lite.gpu.GpuDelegateFactory

/** What came of the self-test on one delegate. */
data class Trial(
    val delegate: String,
    val passed: Boolean,
    val deviation: Float, // the largest difference of a picture's scores, mean over pictures
    val latencyMs: Double, // the median of the pictures
    val problem: String? = null, // why it did not run
)

/** What gives scores: a model on some delegate. */
interface Scorer : AutoCloseable {
    fun scores(photo: Photo): FloatArray
}

/**
 * Eight pictures inside the model and the scores that they have to get, as `model_maker export --self-test` puts them
 * there. A delegate may compute wrongly on one phone and rightly on all others.
 */
class SelfTest(
    private val pictures: List<ByteArray>, // PNG of the input's size
    private val scores: List<FloatArray>,
    private val tolerance: Float,
) {
    /** Runs the pictures on one delegate. */
    fun on(delegate: String, decode: (ByteArray) -> Photo, open: () -> Scorer): Trial {
        try {
            val model = open()
            return model.use { run(delegate, it, decode) }
        } catch (error: RuntimeException) { // what delegates throw that a phone lacks
            return failed(delegate, error)
        } catch (error: LinkageError) {
            return failed(delegate, error)
        }
    }

    private fun run(delegate: String, model: Scorer, decode: (ByteArray) -> Photo): Trial {
        val times = mutableListOf<Long>()
        val apart = pictures.indices.map { index ->
            val photo = decode(pictures[index])
            val start = System.nanoTime()
            val found = model.scores(photo)
            times += System.nanoTime() - start
            found.zip(scores[index]) { a, b -> abs(a - b) }.max()
        }
        val deviation = apart.average().toFloat()
        // NaN is within no tolerance.
        return Trial(delegate, deviation <= tolerance, deviation, times.sorted()[times.size / 2] / 1e6)
    }

    private fun failed(delegate: String, error: Throwable) =
        Trial(delegate, false, Float.NaN, Double.NaN, error.message ?: error.toString())

    companion object {
        private const val FILE = "self_test.csv"

        /** The fastest delegate that passed; null if none did. */
        fun fastest(trials: List<Trial>): Trial? = trials.filter { it.passed }.minByOrNull { it.latencyMs }

        /** Reads a model's self-test; null where it has none. */
        fun read(content: ByteBuffer): SelfTest? {
            val data = content.duplicate().order(java.nio.ByteOrder.LITTLE_ENDIAN)
            val lines = (stored(data, FILE) ?: return null).decodeToString().lines()
            val pictures = List(lines.size - 1) {
                requireNotNull(stored(data, "self_test_$it.png")) { "its self-test lacks a picture" }
            }
            val scores = lines.drop(1).map { line -> line.split(",").map { it.toFloat() }.toFloatArray() }
            return SelfTest(pictures, scores, lines.first().toFloat())
        }
    }
}

/** The delegates at hand, by name, and the options that choose them. */
fun delegates(threads: Int = 2): Map<String, () -> InterpreterApi.Options> = linkedMapOf(
    "CPU" to { InterpreterApi.Options().setNumThreads(threads) },
    "GPU" to { InterpreterApi.Options().addDelegateFactory(GpuDelegateFactory()) },
    "NNAPI" to { InterpreterApi.Options().setUseNNAPI(true) },
)

/** Runs a model's self-test on each delegate at hand; nothing where it has none. */
fun selfTest(content: ByteBuffer): List<Trial> {
    val test = SelfTest.read(content) ?: return emptyList()
    return delegates().map { (name, options) -> test.on(name, ::picture) { Classifier(content, options()) } }
}

/**
 * Opens a model on the fastest delegate that passes its self-test; on the CPU where it has none.
 *
 * @throws IllegalArgumentException the phone reproduces the scores on no delegate
 */
fun proven(content: ByteBuffer): Classifier {
    val trials = selfTest(content)
    if (trials.isEmpty()) return Classifier(content)
    val best = requireNotNull(SelfTest.fastest(trials)) { "this phone does not reproduce its self-test: $trials" }
    return Classifier(content, delegates().getValue(best.delegate)())
}

private fun picture(png: ByteArray) = BitmapPhoto(BitmapFactory.decodeByteArray(png, 0, png.size))
