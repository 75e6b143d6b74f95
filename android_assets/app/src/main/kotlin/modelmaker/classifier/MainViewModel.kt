package modelmaker.classifier

import android.app.Application
import android.content.res.AssetManager
import android.graphics.Bitmap
import android.net.Uri
import androidx.camera.core.ImageProxy
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import androidx.lifecycle.AndroidViewModel
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/** What is shown. It outlives a rotation of the screen, so the model is opened once. */
class MainViewModel(application: Application) : AndroidViewModel(application) {
    var answer by mutableStateOf<Answer?>(null)
        private set
    var problem by mutableStateOf<String?>(null)
        private set

    /** The photo that was picked; null while the camera is watched. */
    var photo by mutableStateOf<Bitmap?>(null)
        private set

    /** The one thread on which the model is opened, run and closed. */
    val worker: ExecutorService = Executors.newSingleThreadExecutor()
    private var classifier: Classifier? = null

    init {
        worker.execute {
            try {
                classifier = proven(map(application.assets))
            } catch (error: IOException) {
                tell(R.string.no_model, error)
            } catch (error: IllegalArgumentException) {
                tell(R.string.no_model, error)
            }
        }
    }

    /** Classifies a frame of the camera, on `worker`. */
    fun watch(frame: ImageProxy) = frame.use {
        if (photo == null) answer = classifier?.classify(FramePhoto(it))
    }

    /** Classifies a photo and shows it. */
    fun pick(uri: Uri) = worker.execute {
        if (classifier != null) problem = null
        try {
            val bitmap = decode(getApplication<Application>().contentResolver, uri)
            photo = bitmap
            answer = classifier?.classify(BitmapPhoto(bitmap))
        } catch (error: IOException) {
            tell(R.string.no_photo, error)
        }
    }

    fun backToCamera() {
        photo = null
        answer = null
    }

    fun cameraFailed(error: Exception) = tell(R.string.no_camera, error)

    override fun onCleared() {
        worker.execute { classifier?.close() }
        worker.shutdown()
    }

    private fun tell(message: Int, error: Exception) {
        problem = getApplication<Application>().getString(message, error.message ?: error.toString())
    }

    private fun map(assets: AssetManager): ByteBuffer = assets.openFd(MODEL_FILE).use { file ->
        FileInputStream(file.fileDescriptor).use { stream ->
            stream.channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        }
    }
}
