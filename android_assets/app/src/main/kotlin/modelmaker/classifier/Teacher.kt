package modelmaker.classifier

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.security.MessageDigest
import org.json.JSONException
import org.tensorflow.lite.InterpreterApi

/** The files among the app's assets that it can be taught with, where `model_maker export --android --teach` puts them. */
const val BACKBONE_FILE = "backbone.tflite"
const val HEAD_FILE = "head.json"

/** How many frames are learned while the button is held. */
const val FRAMES = 5

/**
 * A backbone and a head: classifies as the model does, and learns further classes from photos.
 *
 * @param backbone the content of backbone.tflite, as a direct or mapped buffer
 * @param head the content of head.json
 * @param folder keeps what is taught, in a file for each backbone
 * @throws IllegalArgumentException they do not belong together, or what was taught cannot be read
 */
class Teacher(backbone: ByteBuffer, head: String, folder: File, threads: Int = 2) : AutoCloseable {
    private val network = Network(backbone, InterpreterApi.Options().setNumThreads(threads))
    private val head: Head
    private val kept: File
    private var lesson = ""
    private var learned = 0
    private var wanted = 0

    init {
        val digest = MessageDigest.getInstance("SHA-256").apply { update(backbone.duplicate()) }.digest()
        val sha256 = digest.joinToString("") { "%02x".format(it) }
        kept = File(folder, "taught-$sha256.json")
        try {
            this.head = Head.parse(head, sha256)
            if (kept.exists()) this.head.restore(kept.readText())
        } catch (error: JSONException) {
            throw IllegalArgumentException("head.json or what was taught is damaged", error)
        }
        require(network.sizes.single() == this.head.features) { "The backbone gives other features than head.json takes." }
    }

    /** How many frames each taught class has. */
    val taught: Map<String, Int> get() = head.taught

    /** How many frames the lesson has had; 0 when there is none. */
    val frame: Int get() = if (learned < wanted) learned else 0

    /** The best labels, best first; those of equal score in the head's order. */
    fun classify(photo: Photo, topK: Int = 3): Answer {
        val found = network.run(photo)
        val labels = head.labels
        val scores = head.scores(found.values.single())
        val best = scores.indices.sortedByDescending { scores[it] }.take(topK)
        return Answer(listOf(HeadAnswer("", best.map { Prediction(labels[it], scores[it].toFloat()) })), found.latencyMs)
    }

    /** The button is held: the frames that follow are of a class of this name. */
    fun begin(label: String) {
        lesson = label.trim()
        learned = 0
        wanted = FRAMES
    }

    /** The button is released; a short press teaches one frame. */
    fun end() {
        if (learned < wanted) wanted = maxOf(1, learned)
    }

    /**
     * Learns a frame, as long as the lesson goes on.
     *
     * @throws IllegalArgumentException the model's own classes have this name, or it is empty; the lesson ends
     * @throws IOException it cannot be kept
     */
    fun learn(photo: Photo) {
        if (learned == wanted) return
        try {
            head.teach(lesson, network.run(photo).values.single())
        } catch (error: IllegalArgumentException) {
            wanted = learned
            throw error
        }
        learned += 1
        keep()
    }

    /** Takes a taught class back. */
    fun forget(label: String) {
        head.forget(label)
        keep()
    }

    override fun close() = network.close()

    /** Written aside and renamed, so that a process that ends meanwhile leaves what was there. */
    private fun keep() {
        val aside = File(kept.path + ".new")
        aside.writeText(head.save())
        if (!aside.renameTo(kept)) throw IOException("${kept.name} cannot be written")
    }
}
