import CoreGraphics
import CoreVideo
import UIKit

/// Pixels with four bytes each, upright.
struct Photo {
  let width: Int
  let height: Int
  private let bytes: [UInt8]
  private let rowSize: Int
  /// Where red, green and blue are among the four.
  private let order: [Int]

  // A photo takes four bytes a pixel; larger ones are drawn smaller.
  private static let mostPixels: CGFloat = 24_000_000

  /// A frame of the camera in 32BGRA, which the capture connection has turned upright.
  init?(_ frame: CVPixelBuffer) {
    CVPixelBufferLockBaseAddress(frame, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
    guard let start = CVPixelBufferGetBaseAddress(frame) else { return nil }
    width = CVPixelBufferGetWidth(frame)
    height = CVPixelBufferGetHeight(frame)
    rowSize = CVPixelBufferGetBytesPerRow(frame)
    bytes = [UInt8](UnsafeRawBufferPointer(start: start, count: rowSize * height))
    order = [2, 1, 0]
  }

  /// A picked photo, whose orientation UIKit knows; transparent parts become black.
  init?(_ image: UIImage) {
    let whole = CGSize(width: image.size.width * image.scale, height: image.size.height * image.scale)
    let shrink = max(1, (whole.width * whole.height / Self.mostPixels).squareRoot().rounded(.up))
    let size = CGSize(width: (whole.width / shrink).rounded(), height: (whole.height / shrink).rounded())
    guard let space = CGColorSpace(name: CGColorSpace.sRGB), size.width >= 1, size.height >= 1,
      let context = CGContext(
        data: nil, width: Int(size.width), height: Int(size.height), bitsPerComponent: 8, bytesPerRow: 0, space: space,
        bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
    else { return nil }
    // UIKit's origin is at the top, Core Graphics' at the bottom.
    context.translateBy(x: 0, y: size.height)
    context.scaleBy(x: 1, y: -1)
    UIGraphicsPushContext(context)
    image.draw(in: CGRect(origin: .zero, size: size))
    UIGraphicsPopContext()
    guard let start = context.data else { return nil }
    width = context.width
    height = context.height
    rowSize = context.bytesPerRow
    bytes = [UInt8](UnsafeRawBufferPointer(start: start, count: rowSize * height))
    order = [0, 1, 2]
  }

  /// Fits the photo to the input, as training did: bilinear between the four nearest pixels, half-pixel centers, no
  /// antialiasing. Core Graphics' own scaling differs.
  ///
  /// - Returns: red, green and blue of each pixel, row by row.
  func fitted(to fit: Fit) -> [UInt8] {
    let (sx, sy, sw, sh) = fit.source(width, height)
    let (tx, ty, tw, th) = fit.target(width, height)
    var result = [UInt8]()
    result.reserveCapacity(fit.height * fit.width * 3)
    for row in 0..<fit.height {
      let y = (Double(row - ty) + 0.5) * (Double(sh) / Double(th)) - 0.5
      let top = y.rounded(.down)
      let y0 = (sy + min(max(Int(top), 0), sh - 1)) * rowSize, y1 = (sy + min(max(Int(top) + 1, 0), sh - 1)) * rowSize
      for column in 0..<fit.width {
        let x = (Double(column - tx) + 0.5) * (Double(sw) / Double(tw)) - 0.5
        let left = x.rounded(.down)
        let x0 = (sx + min(max(Int(left), 0), sw - 1)) * 4, x1 = (sx + min(max(Int(left) + 1, 0), sw - 1)) * 4
        let shown = (ty..<ty + th).contains(row) && (tx..<tx + tw).contains(column)
        for channel in order {
          let a = Double(bytes[y0 + x0 + channel]), b = Double(bytes[y0 + x1 + channel])
          let c = Double(bytes[y1 + x0 + channel]), d = Double(bytes[y1 + x1 + channel])
          let upper = a + (b - a) * (x - left), lower = c + (d - c) * (x - left)
          result.append(shown ? UInt8(upper + (lower - upper) * (y - top)) : 0)
        }
      }
    }
    return result
  }
}

/// The input of a model, and how photos are fitted to it, as the model's metadata says. Boxes are left, top, width and
/// height.
struct Fit {
  enum Resize: String {
    case stretch
    /// Scaled as a whole, centered on black.
    case letterbox
    /// The middle, scaled.
    case crop
  }

  let height: Int
  let width: Int
  let resize: Resize

  /// The part of a photo that is used.
  func source(_ photoWidth: Int, _ photoHeight: Int) -> (Int, Int, Int, Int) {
    resize == .crop ? Self.centered(photoWidth, photoHeight, width, height) : (0, 0, photoWidth, photoHeight)
  }

  /// The part of the input that shows it; the rest is black.
  func target(_ photoWidth: Int, _ photoHeight: Int) -> (Int, Int, Int, Int) {
    resize == .letterbox ? Self.centered(width, height, photoWidth, photoHeight) : (0, 0, width, height)
  }

  /// The largest box of a shape in the middle of another box.
  private static func centered(
    _ width: Int, _ height: Int, _ shapeWidth: Int, _ shapeHeight: Int
  ) -> (Int, Int, Int, Int) {
    let wide = width * shapeHeight > height * shapeWidth
    let w = wide ? max(1, (2 * height * shapeWidth + shapeHeight) / (2 * shapeHeight)) : width
    let h = wide ? height : max(1, (2 * width * shapeHeight + shapeWidth) / (2 * shapeWidth))
    return ((width - w) / 2, (height - h) / 2, w, h)
  }
}
