"""The page of the service as a folder of files that needs no server: models in ONNX, run by the browser.

`scripts/` stands in the place of the page's one way to a server (hrm_rl/serving/page/backend.js); all else of
the page is used as it is. `ort/` is onnxruntime-web, as its npm package has it.
"""
