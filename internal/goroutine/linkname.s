// This file is empty. The compiler accepts functions without a body, which linkname binds to those of package
// runtime, only in a package that has an assembly file.
