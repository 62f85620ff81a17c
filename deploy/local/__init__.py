"""The local cluster: brings a Kubernetes up for the demo and the end-to-end tests, and takes it down again.

Only the standard library is used, so that `python3 -m deploy.local up` works in a fresh checkout.
`choice` decides which kind of cluster it is to be; `native`, `kind` and `named` each know one kind;
`toolchain` builds the programs they need; `images` makes the project's two images and loads them.
"""
