// What goes wrong: between the page and a model, and in what a reader writes.

/** A text that is no puzzle. */
export class TextError extends Error {}

/** Why a model did not answer. code: that of the service, or "offline", "lost". */
export class BackendError extends Error {
  constructor(code, message, { cell = null, after = null } = {}) {
    super(message);
    this.code = code;
    this.cell = cell; // {row, column}, from 1
    this.after = after; // seconds until another try makes sense
  }
}
