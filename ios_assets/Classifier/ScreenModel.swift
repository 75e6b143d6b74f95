import AVFoundation
import SwiftUI

/// A class that was taught, and from how many frames.
struct Taught: Identifiable {
  let label: String
  let frames: Int

  var id: String { label }
}

/// What is shown. The model is opened, run and closed on one queue, the camera's.
final class ScreenModel: ObservableObject {
  @Published private(set) var answer: Answer?
  @Published private(set) var problem: String?
  /// What was taught; nil where the app cannot be taught.
  @Published private(set) var taught: [Taught]?
  /// Which frame of a lesson is being learned; 0 when none is.
  @Published private(set) var frame = 0
  /// The photo that was picked; nil while the camera is watched.
  @Published private(set) var photo: UIImage?
  /// nil until the user has answered.
  @Published private(set) var cameraPermitted: Bool?

  let camera = Camera()
  private var classifier: Classifier?
  private var teacher: Teacher?
  private var watching = true  // of the camera's queue

  init() {
    camera.queue.async { [self] in
      do {
        classifier = try Classifier.proven()
        teacher = try Teacher()
      } catch { tell(error) }
      show()
    }
    camera.onFrame = { [weak self] frame in
      guard let self, self.watching, let photo = Photo(frame) else { return }
      self.learn(photo)
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

  /// The button is held, and released.
  func holdLesson(_ held: Bool, label: String) {
    if held { problem = nil }
    camera.queue.async { [self] in
      if held { teacher?.begin(label) } else { teacher?.end() }
      show()
    }
  }

  /// Takes a taught class back.
  func forget(_ label: String) {
    camera.queue.async { [self] in
      do { try teacher?.forget(label) } catch { tell(error) }
      show()
    }
  }

  func tell(_ error: Error) {
    DispatchQueue.main.async { self.problem = error.localizedDescription }
  }

  private func learn(_ photo: Photo) {
    guard let teacher else { return }
    do { try teacher.learn(photo) } catch { tell(error) }
    show()
  }

  private func show() {
    guard let teacher else { return }
    let all = teacher.taught.map { Taught(label: $0.key, frames: $0.value) }.sorted { $0.label < $1.label }
    let now = teacher.frame
    DispatchQueue.main.async {
      self.taught = all
      self.frame = now
    }
  }

  /// What was taught is asked first, as long as there is any.
  private func classify(_ photo: Photo) {
    do {
      let knows = teacher.map { !$0.taught.isEmpty } ?? false
      let found = knows ? try teacher?.classify(photo) : try classifier?.classify(photo)
      DispatchQueue.main.async { self.answer = found }
    } catch {
      tell(error)
    }
  }
}
