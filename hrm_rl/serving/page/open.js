// How a text gets onto the page: pasted anywhere, dropped anywhere, typed or opened in a dialog.

import { $ } from "./dom.js";

const LARGEST = 4_000_000; // bytes of a file; a saved run has some hundred thousand

/** take(text): what to do with a text; it may throw an error whose message is for the reader.
 * refuse(message): what to do with a file that is none. */
export function listen(take, refuse) {
  const dialog = $("open");
  const message = $("open-message");

  const read = async (file) => {
    if (!file) return;
    if (file.size > LARGEST) return refuse(`${file.name} is too large for a puzzle.`);
    take(await file.text());
  };

  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea")) return;
    const text = event.clipboardData.getData("text/plain");
    if (text) take(text);
    else read(event.clipboardData.files[0]);
    event.preventDefault();
  });

  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) read(file);
    else if (event.dataTransfer.getData("text/plain")) take(event.dataTransfer.getData("text/plain"));
  });

  $("open-button").addEventListener("click", () => {
    message.textContent = "";
    dialog.showModal();
    $("open-text").focus();
  });
  $("open-cancel").addEventListener("click", () => dialog.close());
  $("open-file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file && file.size <= LARGEST) $("open-text").value = await file.text();
    else if (file) message.textContent = `${file.name} is too large for a puzzle.`;
    event.target.value = "";
  });
  $("open-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await take($("open-text").value, (why) => (message.textContent = why))) {
      $("open-text").value = "";
      dialog.close();
    }
  });
}
