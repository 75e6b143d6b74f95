import AVFoundation
import SwiftUI

/// What is shown. The model is opened, run and closed on one queue, the camera's.
final class ScreenModel: ObservableObject {
  @Published private(set) var answer: Answer?
  @Published private(set) var problem: String?
  /// The photo that was picked; nil while the camera is watched.
  @Published private(set) var photo: UIImage?
  /// nil until the user has answered.
  @Published private(set) var cameraPermitted: Bool?

  let camera = Camera()
  private var classifier: Classifier?
  private var watching = true  // of the camera's queue

  init() {
    camera.queue.async { [self] in
      do { classifier = try Classifier.proven() } catch { tell(error) }
    }
    camera.onFrame = { [weak self] frame in
      guard let self, self.watching, let photo = Photo(frame) else { return }
      self.classify(photo)
    }
  }

  /// Asks for the camera where it was never asked, and starts it where it is permitted.
  func start() {
    AVCaptureDevice.requestAccess(for: .video) { permitted in
      if permitted {
        do { try self.camera.start() } catch { self.tell(error) }
      }
      DispatchQueue.main.async { self.cameraPermitted = permitted }
    }
  }

  /// Classifies a photo and shows it.
  func pick(_ image: UIImage) {
    photo = image
    answer = nil
    camera.queue.async { [self] in
      watching = false
      if let photo = Photo(image) { classify(photo) }
    }
  }

  func backToCamera() {
    photo = nil
    answer = nil
    camera.queue.async { [self] in watching = true }
  }

  func tell(_ error: Error) {
    DispatchQueue.main.async { self.problem = error.localizedDescription }
  }

  private func classify(_ photo: Photo) {
    do {
      let found = try classifier?.classify(photo)
      DispatchQueue.main.async { self.answer = found }
    } catch {
      tell(error)
    }
  }
}
