//! The library that `pagepress vdev run` loads into programs.
