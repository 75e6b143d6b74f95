package modelmaker.classifier

import java.nio.ByteBuffer
import org.tensorflow.lite.InterpreterApi

/** One label with its score, from 0 to 1. */
data class Prediction(val label: String, val score: Float)

/** What one head says; a model that has several names them. */
data class HeadAnswer(
    val head: String,
    val predictions: List<Prediction>,
    val labelSet: List<String> = emptyList(), // the labels of which one is right as often as the model promises
)

/** What a model says of a photo, and how long it took: the inference alone, without resizing. */
data class Answer(val heads: List<HeadAnswer>, val latencyMs: Double)

/**
 * A model in LiteRT's interpreter, for one thread at a time.
 *
 * @param content the `.tflite`, as a direct or mapped buffer
 * @param options the delegate, and the threads inside one inference
 * @throws IllegalArgumentException it is no image classifier that this app can feed
 */
class Classifier(
    content: ByteBuffer,
    options: InterpreterApi.Options = InterpreterApi.Options().setNumThreads(2),
) : Scorer {
    private val network = Network(content, options)
    private val heads = network.file.heads

    init {
        require(heads.isNotEmpty()) { "its metadata names no labels" }
        for ((head, count) in heads.zip(network.sizes)) {
            require(count == head.labels.size) { "it gives $count scores but carries ${head.labels.size} labels" }
        }
    }

    /**
     * The best labels of each head, best first, those of equal score in the model's order; all of a photo that may have
     * several.
     */
    fun classify(photo: Photo, topK: Int = 3): Answer {
        val found = network.run(photo)
        return Answer(heads.zip(found.values) { head, scores -> best(head, scores, topK) }, found.latencyMs)
    }

    /** Those of the first head, whose scores the self-test states. */
    override fun scores(photo: Photo): FloatArray = network.run(photo).values.first()

    override fun close() = network.close()

    private fun best(head: ModelHead, scores: FloatArray, topK: Int): HeadAnswer {
        val order = scores.indices.sortedByDescending { scores[it] }
        val most = if (network.file.multiLabel) scores.size else topK
        val best = order.filter { scores[it] >= head.thresholds[it] }.take(most)
        val set = head.labelSets?.of(scores).orEmpty().map { head.labels[it] }
        return HeadAnswer(
            if (heads.size > 1) head.name else "",
            best.map { Prediction(head.labels[it], scores[it]) },
            set,
        )
    }
}
