package modelmaker.classifier

import android.Manifest.permission.CAMERA
import android.content.Context
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.provider.Settings
import androidx.activity.compose.rememberLauncherForActivityResult
import androidx.activity.result.contract.ActivityResultContracts.RequestPermission
import androidx.camera.core.CameraInfoUnavailableException
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.Preview
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.lifecycle.awaitInstance
import androidx.camera.view.PreviewView
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.material3.Button
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.platform.LocalContext
import androidx.compose.ui.res.stringResource
import androidx.compose.ui.unit.dp
import androidx.compose.ui.viewinterop.AndroidView
import androidx.core.content.ContextCompat
import androidx.lifecycle.compose.LifecycleResumeEffect
import androidx.lifecycle.compose.LocalLifecycleOwner
import kotlinx.coroutines.awaitCancellation

/** The camera where it is permitted; else why not, and the way to the settings. */
@Composable
fun CameraArea(model: MainViewModel, modifier: Modifier) {
    val context = LocalContext.current
    var permitted by remember { mutableStateOf(isPermitted(context)) }
    val question = rememberLauncherForActivityResult(RequestPermission()) { permitted = it }
    LaunchedEffect(Unit) { if (!permitted) question.launch(CAMERA) }
    // Who comes back from the settings may have changed it there.
    LifecycleResumeEffect(Unit) {
        permitted = isPermitted(context)
        onPauseOrDispose { }
    }
    if (permitted) {
        CameraPreview(model, modifier)
    } else {
        Column(modifier, Arrangement.spacedBy(12.dp)) {
            Text(stringResource(R.string.camera_refused))
            Button(onClick = { openSettings(context) }) { Text(stringResource(R.string.open_settings)) }
        }
    }
}

@Composable
private fun CameraPreview(model: MainViewModel, modifier: Modifier) {
    val context = LocalContext.current
    val owner = LocalLifecycleOwner.current
    // The whole frame is shown, for the whole frame is what the model sees.
    val view = remember { PreviewView(context).apply { scaleType = PreviewView.ScaleType.FIT_CENTER } }
    AndroidView(factory = { view }, modifier = modifier)
    LaunchedEffect(owner) {
        val cameras = ProcessCameraProvider.awaitInstance(context)
        val preview = Preview.Builder().build()
        preview.setSurfaceProvider(view.surfaceProvider)
        val analysis = ImageAnalysis.Builder()
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
            .setOutputImageRotationEnabled(true)
            .build()
        analysis.setAnalyzer(model.worker) { frame -> model.watch(frame) }
        try {
            cameras.bindToLifecycle(owner, lens(cameras), preview, analysis)
            awaitCancellation()
        } catch (error: CameraInfoUnavailableException) {
            model.cameraFailed(error)
        } catch (error: IllegalArgumentException) { // there is no such camera
            model.cameraFailed(error)
        } finally {
            cameras.unbind(preview, analysis)
        }
    }
}

private fun lens(cameras: ProcessCameraProvider) =
    CameraSelector.DEFAULT_BACK_CAMERA.takeIf { cameras.hasCamera(it) } ?: CameraSelector.DEFAULT_FRONT_CAMERA

private fun isPermitted(context: Context) =
    ContextCompat.checkSelfPermission(context, CAMERA) == PackageManager.PERMISSION_GRANTED

private fun openSettings(context: Context) {
    val details = Uri.fromParts("package", context.packageName, null)
    context.startActivity(Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, details))
}
