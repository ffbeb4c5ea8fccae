// Evaluates pods with Kubernetes' own Pod Security admission library.
//
// Reads a stream of JSON pods on stdin; prints for each a line with the strictest level that it meets and,
// tab-separated, what the next stricter one forbids.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		fail(err)
	}
	pods := json.NewDecoder(os.Stdin)
	// A field that the library does not know would go unchecked.
	pods.DisallowUnknownFields()
	for {
		var pod corev1.Pod
		if err := pods.Decode(&pod); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			fail(err)
		}
		fmt.Println(verdict(evaluator, &pod))
	}
}

func verdict(evaluator policy.Evaluator, pod *corev1.Pod) string {
	forbidden := ""
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline} {
		version := api.LevelVersion{Level: level, Version: api.LatestVersion()}
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(version, &pod.ObjectMeta, &pod.Spec))
		if result.Allowed {
			return fmt.Sprintf("%s\t%s", level, forbidden)
		}
		forbidden = result.ForbiddenDetail()
	}
	return fmt.Sprintf("%s\t%s", api.LevelPrivileged, forbidden)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "pod-security:", err)
	os.Exit(1)
}
