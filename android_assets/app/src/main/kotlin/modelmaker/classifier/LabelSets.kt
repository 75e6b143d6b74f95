package modelmaker.classifier

/**
 * How many labels to show so that the right one is among them for a promised share of photos.
 *
 * @param coverage that share, for example 0.95
 * @param limits the score that each label needs; the best label is always shown
 */
class LabelSets(val coverage: Float, private val limits: List<Float>) {
    /** The labels to show for some scores, by their index, best first. */
    fun of(scores: FloatArray): List<Int> = scores.indices.sortedByDescending { scores[it] }
        .filterIndexed { place, label -> place == 0 || scores[label] >= limits[label] }

    companion object {
        /** Its name in the model's zip, behind the name of the head where there are several. */
        const val FILE = "label_sets.csv"

        /** Reads the file: the coverage in the first line, then the limit of each label before the first comma. */
        fun read(text: String, labels: Int): LabelSets {
            val lines = text.trim().lines()
            val numbers = lines.map { it.substringBefore(",").toFloatOrNull() }
            require(lines.size == labels + 1 && null !in numbers) { "its $FILE is damaged" }
            return LabelSets(numbers.first()!!, numbers.drop(1).filterNotNull())
        }
    }
}
