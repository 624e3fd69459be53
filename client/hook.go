package client

// callHook calls f, in which there are hooks of the application, and where f does not return, since
// a hook has panicked or has ended the goroutine (runtime.Goexit, testing.T.FailNow), calls exited.
func callHook(f, exited func()) {
	returned := false
	defer func() {
		if !returned {
			exited()
		}
	}()
	f()
	returned = true
}
