// Back and forth through the segments, by hand or by itself. A position is a number of segments; 0 is the
// puzzle.

import { $, calm } from "./dom.js";

const CATCH_UP = 1.2; // seconds within which most of what has arrived is shown, however fast it came

export class Player {
  /** show(position): draw it. says(position): the position in words, for a screen reader. */
  constructor(show, says) {
    Object.assign(this, { show, says, length: 0, position: 0, timer: null,
      live: false, playing: false, arriving: false });
    this.slider = $("slider");
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    $("first").addEventListener("click", () => this.go(0));
    $("back").addEventListener("click", () => this.go(this.position - 1));
    $("forth").addEventListener("click", () => this.go(this.position + 1));
    $("last").addEventListener("click", () => this.go(this.length));
    $("play").addEventListener("click", () => this.toggle());
  }

  /** Begin with nothing; what arrives is shown as it comes. */
  begin() {
    this.#stop();
    Object.assign(this, { length: 0, position: 0, live: true, arriving: true });
    this.#draw();
  }

  /** So many segments are there now. */
  grow(length) {
    this.length = Math.max(this.length, length);
    if (!this.live) return this.#controls();
    if (calm()) return this.#to(this.length);
    this.#controls();
    if (this.timer === null) this.#step();
  }

  /** No more will arrive. */
  end() {
    this.arriving = false;
    this.#controls();
  }

  /** There is nothing to play any more. */
  clear() {
    this.begin();
    this.live = this.arriving = false;
    this.#controls();
  }

  /** Show a position and stay there; at the end, go on with what arrives. */
  go(position) {
    this.#stop();
    const to = Math.max(0, Math.min(this.length, position));
    this.live = this.arriving && to === this.length;
    this.#to(to);
  }

  toggle() {
    if (this.playing || this.timer !== null) return this.#halt();
    if (!this.length) return;
    if (this.position >= this.length) this.#to(0);
    this.playing = true;
    this.#wait();
    this.#controls();
  }

  #halt() {
    this.#stop();
    this.#controls();
  }

  #stop() {
    clearTimeout(this.timer);
    Object.assign(this, { timer: null, playing: false, live: false });
  }

  get #pause() {
    const speed = Number($("speed").value);
    const waiting = this.length - this.position;
    return 1000 / (this.live ? Math.max(speed, waiting / CATCH_UP) : speed);
  }

  #wait() {
    this.timer = setTimeout(() => this.#step(), this.#pause);
  }

  #step() {
    this.timer = null;
    if (this.position < this.length) this.#to(this.position + 1);
    if (this.position < this.length) return this.#wait();
    this.playing = false;
    this.#controls();
  }

  #to(position) {
    this.position = position;
    this.#draw();
  }

  #draw() {
    this.#controls();
    this.show(this.position);
  }

  #controls() {
    this.slider.max = this.length;
    this.slider.value = this.position;
    this.slider.disabled = !this.length;
    this.slider.setAttribute("aria-valuetext", this.says(this.position));
    for (const [id, stuck] of [["first", !this.position], ["back", !this.position],
      ["forth", this.position >= this.length], ["last", this.position >= this.length], ["play", !this.length]])
      $(id).disabled = stuck;
    const moving = this.playing || this.timer !== null;
    $("play").classList.toggle("moving", moving);
    $("play").setAttribute("aria-label", moving ? "Pause" : "Play");
    $("count").textContent = this.length ? `${this.position} / ${this.length}` : "";
  }
}
