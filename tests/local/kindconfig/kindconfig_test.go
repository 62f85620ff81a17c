// Package kindconfig checks deploy/local/kind.yaml with kind's own Go types: a field that kind does not know, or a
// value of the wrong type, fails here and not only on a machine with a container engine.
package kindconfig

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

func read(t *testing.T) v1alpha4.Cluster {
	t.Helper()
	content, err := os.ReadFile("../../../deploy/local/kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cluster v1alpha4.Cluster
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&cluster); err != nil {
		t.Fatalf("kind's own types refuse kind.yaml: %v", err)
	}
	return cluster
}

func TestKindReadsOurConfiguration(t *testing.T) {
	cluster := read(t)
	if cluster.Kind != "Cluster" || cluster.APIVersion != "kind.x-k8s.io/v1alpha4" {
		t.Errorf("not a cluster of v1alpha4: %q, %q", cluster.Kind, cluster.APIVersion)
	}
	if cluster.Networking.APIServerAddress != "127.0.0.1" {
		t.Errorf("the API server would listen on %q", cluster.Networking.APIServerAddress)
	}
	if len(cluster.Nodes) != 1 || cluster.Nodes[0].Role != v1alpha4.ControlPlaneRole {
		t.Errorf("want one control plane node, got %+v", cluster.Nodes)
	}
}

func TestNodeImageIsTheOneThisKindWasTestedWith(t *testing.T) {
	image := strings.TrimPrefix(read(t).Nodes[0].Image, "docker.io/")
	if image != defaults.Image {
		t.Errorf("kind.yaml has %s, this version of kind comes with %s", image, defaults.Image)
	}
}
