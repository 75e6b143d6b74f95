import AVFoundation
import SwiftUI

/// The back camera, or else any, frame by frame.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate {
  enum Failure: LocalizedError {
    case none

    var errorDescription: String? { "The camera cannot be opened." }
  }

  let session = AVCaptureSession()
  /// Frames arrive here, one at a time; those that come while one is handled are dropped.
  let queue = DispatchQueue(label: "camera")
  var onFrame: ((CVPixelBuffer) -> Void)?

  private let output = AVCaptureVideoDataOutput()
  private var rotation: AVCaptureDevice.RotationCoordinator?
  private var observation: NSKeyValueObservation?

  /// Opens the camera the first time, and lets it run.
  func start() throws {
    if session.inputs.isEmpty { try configure() }
    queue.async { [session] in
      if !session.isRunning { session.startRunning() }
    }
  }

  /// Turns the preview with the phone, and frames with it.
  func follow(_ layer: AVCaptureVideoPreviewLayer) {
    guard let device = (session.inputs.first as? AVCaptureDeviceInput)?.device else { return }
    let coordinator = AVCaptureDevice.RotationCoordinator(device: device, previewLayer: layer)
    rotation = coordinator
    observation = coordinator.observe(\.videoRotationAngleForHorizonLevelPreview, options: [.initial, .new]) {
      [weak self, weak layer] coordinator, _ in
      let angle = coordinator.videoRotationAngleForHorizonLevelPreview
      for connection in [layer?.connection, self?.output.connection(with: .video)] {
        if let connection, connection.isVideoRotationAngleSupported(angle) { connection.videoRotationAngle = angle }
      }
    }
  }

  func captureOutput(_ output: AVCaptureOutput, didOutput buffer: CMSampleBuffer, from connection: AVCaptureConnection) {
    if let frame = CMSampleBufferGetImageBuffer(buffer) { onFrame?(frame) }
  }

  private func configure() throws {
    let back = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back)
    guard let device = back ?? AVCaptureDevice.default(for: .video) else { throw Failure.none }
    let input = try AVCaptureDeviceInput(device: device)
    session.beginConfiguration()
    defer { session.commitConfiguration() }
    session.sessionPreset = .vga640x480
    guard session.canAddInput(input), session.canAddOutput(output) else { throw Failure.none }
    session.addInput(input)
    session.addOutput(output)
    output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
    output.alwaysDiscardsLateVideoFrames = true
    output.setSampleBufferDelegate(self, queue: queue)
  }
}

/// What the camera sees: the whole frame, for the whole frame is what the model sees.
struct CameraPreview: UIViewRepresentable {
  let camera: Camera

  func makeUIView(context: Context) -> PreviewView {
    let view = PreviewView()
    view.previewLayer.videoGravity = .resizeAspect
    view.previewLayer.session = camera.session
    camera.follow(view.previewLayer)
    return view
  }

  func updateUIView(_ view: PreviewView, context: Context) {}

  final class PreviewView: UIView {
    override class var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }

    var previewLayer: AVCaptureVideoPreviewLayer {
      // layerClass says so.
      layer as! AVCaptureVideoPreviewLayer
    }
  }
}
