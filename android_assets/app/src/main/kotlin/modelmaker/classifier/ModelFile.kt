package modelmaker.classifier

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The model among the app's assets, where `model_maker export --android` puts it. */
const val MODEL_FILE = "model.tflite"

/**
 * One output: its name, its labels, and the least score worth showing of each.
 *
 * @param labelSets how many labels to show, where the model promises a coverage
 */
class ModelHead(
    val name: String,
    val labels: List<String>,
    val thresholds: List<Float>,
    val labelSets: LabelSets?,
)

/**
 * What a `.tflite` says of itself: the labels of each output, how photos become its input.
 *
 * Metadata is a flatbuffer inside the model's flatbuffer, the labels a file in the zip that is appended to it. Both are
 * read here, field by field as TensorFlow Lite's metadata_schema.fbs numbers them, so no library is needed for it.
 *
 * @throws IllegalArgumentException it is no model, or its metadata lacks something
 */
class ModelFile(content: ByteBuffer) {
    val mean: Float
    val std: Float
    val multiLabel: Boolean // whether a photo may have several labels, or none
    val resize: String // how photos are fitted to the input
    val heads: List<ModelHead> // of a backbone, none

    init {
        val data = content.duplicate().order(ByteOrder.LITTLE_ENDIAN)
        require(data.limit() > 8 && data.getInt(4) == MODEL_MARK) { "it is not a .tflite file" }
        try {
            val part = metadata(data).tables(3).first()
            val image = part.tables(2).first()
            val normalization = image.tables(4).firstOrNull { it.byte(0) == NORMALIZATION }?.table(1)
            mean = normalization?.floats(0)?.first() ?: 0f
            std = normalization?.floats(1)?.first() ?: 1f
            val stated = image.tables(6).any { it.text(0) == RESIZE }
            resize = if (stated) storedFile(data, RESIZE) else "stretch"
            multiLabel = runCatching { storedFile(data, PROVENANCE) }.getOrDefault("").contains(MULTI_LABEL)
            val outputs = part.tables(3)
            heads = outputs.mapNotNull { head(data, it, if (outputs.size > 1) "${it.text(0)}_" else "") }
            require(resize in listOf("stretch", "letterbox", "crop")) { "it fits photos in a way that this app does not know" }
        } catch (error: IndexOutOfBoundsException) {
            throw IllegalArgumentException("its metadata is damaged", error)
        } catch (error: NoSuchElementException) {
            throw IllegalArgumentException("its metadata names no labels", error)
        }
    }

    /** Reads an output; `prefix` stands before the names of its files where there are several. */
    private fun head(data: ByteBuffer, scores: Table, prefix: String): ModelHead? {
        val file = scores.tables(6).firstOrNull { it.byte(2) == AXIS_LABELS }?.text(0) ?: return null
        val labels = storedFile(data, file).removeSuffix("\n").split("\n")
        val threshold = scores.tables(4).firstOrNull { it.byte(0) == THRESHOLDING }?.table(1)?.float(0) ?: 0f
        val own = scores.tables(6).firstOrNull { it.text(0) == prefix + LABEL_THRESHOLDS }
            ?.let { storedFile(data, prefix + LABEL_THRESHOLDS).split("\n").map { line -> line.substringAfterLast(",").toFloat() } }
        val limits = labels.indices.map { maxOf(threshold, own?.get(it) ?: 0f) }
        val sets = stored(data, prefix + LabelSets.FILE)?.let { LabelSets.read(it.decodeToString(), labels.size) }
        return ModelHead(scores.text(0), labels, limits, sets)
    }

    private fun metadata(model: ByteBuffer): Table {
        val root = Table.root(model, 0)
        val entry = root.tables(6).first { it.text(0) == "TFLITE_METADATA" }
        return Table.root(model, root.tables(4)[entry.int(1)].vector(0))
    }

    private companion object {
        const val MODEL_MARK = 0x334C4654 // "TFL3"
        const val NORMALIZATION = 1 // ProcessUnitOptions
        const val THRESHOLDING = 3
        const val AXIS_LABELS = 2 // AssociatedFileType
        const val PROVENANCE = "model_maker.json" // which other tools do not write
        const val MULTI_LABEL = "\"multi_label\": true"
        const val RESIZE = "resize.txt"
        const val LABEL_THRESHOLDS = "label_thresholds.csv" // the last column, where labels have their own
    }
}

/** A flatbuffer's table: fields are found by their number, and may be absent. */
private class Table(private val data: ByteBuffer, private val at: Int) {
    fun byte(field: Int) = place(field)?.let { data.get(it).toInt() } ?: 0

    fun int(field: Int) = place(field)?.let { data.getInt(it) } ?: 0

    fun float(field: Int) = place(field)?.let { data.getFloat(it) } ?: 0f

    fun table(field: Int) = place(field)?.let { Table(data, follow(it)) }

    fun tables(field: Int): List<Table> = items(field) { Table(data, follow(it)) }

    fun floats(field: Int): List<Float> = items(field) { data.getFloat(it) }

    fun text(field: Int): String = place(field)?.let { text(data, follow(it) + 4, data.getInt(follow(it))) } ?: ""

    /** Where the contents of a vector begin. */
    fun vector(field: Int): Int = follow(place(field) ?: throw NoSuchElementException()) + 4

    private fun <T> items(field: Int, read: (Int) -> T): List<T> {
        val start = follow(place(field) ?: return emptyList())
        return List(data.getInt(start).coerceAtMost(data.limit() / 4)) { read(start + 4 + 4 * it) }
    }

    private fun place(field: Int): Int? {
        val fields = at - data.getInt(at)
        val slot = 4 + 2 * field
        val offset = if (slot < data.getShort(fields)) data.getShort(fields + slot).toInt() else 0
        return if (offset == 0) null else at + offset
    }

    private fun follow(place: Int) = place + data.getInt(place)

    companion object {
        fun root(data: ByteBuffer, at: Int) = Table(data, at + data.getInt(at))
    }
}

private const val END_OF_ZIP = 0x06054B50
private const val END_OF_ZIP_SIZE = 22
private const val LONGEST_COMMENT = 0xFFFF

private fun storedFile(data: ByteBuffer, name: String): String =
    stored(data, name)?.decodeToString() ?: throw NoSuchElementException(name)

/** A file of the zip at the end, which stores without compression, as phone clients want it; null if there is none. */
internal fun stored(data: ByteBuffer, name: String): ByteArray? {
    val last = data.limit() - END_OF_ZIP_SIZE
    val end = (last downTo maxOf(0, last - LONGEST_COMMENT)).first { data.getInt(it) == END_OF_ZIP }
    var entry = end - data.getInt(end + 12)
    val start = entry - data.getInt(end + 16) // where the offsets count from
    repeat(data.getShort(end + 10).toInt()) {
        val nameSize = data.getShort(entry + 28).toInt()
        if (text(data, entry + 46, nameSize) == name) {
            require(data.getShort(entry + 10).toInt() == 0) { "$name is compressed" }
            val local = start + data.getInt(entry + 42)
            val begin = local + 30 + data.getShort(local + 26) + data.getShort(local + 28)
            return bytes(data, begin, data.getInt(entry + 24))
        }
        entry += 46 + nameSize + data.getShort(entry + 30) + data.getShort(entry + 32)
    }
    return null
}

private fun text(data: ByteBuffer, at: Int, size: Int): String = bytes(data, at, size).decodeToString()

private fun bytes(data: ByteBuffer, at: Int, size: Int): ByteArray {
    if (size < 0 || at < 0 || size > data.limit() - at) throw IndexOutOfBoundsException()
    val bytes = ByteArray(size)
    data.duplicate().apply { position(at) }.get(bytes)
    return bytes
}
