// The identity provider of the tests: zitadel/oidc's own example server, with https, as API servers trust no other.
// The protocol and its users are the example's. Ours are the groups of one of them, and that id tokens hold what an
// API server maps, as those of most providers do.
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const groups = "groups"

type people struct{ *storage.Storage }

func (p people) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	found, err := p.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{found}, nil
}

// The second of the example's users is in no group: their token has no such claim.
func (p people) SetUserinfoFromRequest(
	ctx context.Context, info *oidc.UserInfo, request op.IDTokenRequest, scopes []string,
) error {
	if request.GetSubject() == "id1" && slices.Contains(scopes, groups) {
		info.AppendClaims(groups, []string{"district-data"})
	}
	return p.Storage.SetUserinfoFromRequest(ctx, info, request, scopes)
}

type client struct{ op.Client }

func (client) IDTokenUserinfoClaimsAssertion() bool { return true }

func (c client) IsScopeAllowed(scope string) bool { return scope == groups || c.Client.IsScopeAllowed(scope) }

func (c client) IDTokenLifetime() time.Duration {
	if c.GetID() == "brief" {
		return 62 * time.Second
	}
	return c.Client.IDTokenLifetime()
}

func main() {
	issuer, redirect, secret := os.Getenv("ISSUER"), os.Getenv("REDIRECT_URI"), os.Getenv("CLIENT_SECRET")
	for _, id := range []string{"console", "brief", "other"} {
		storage.RegisterClients(storage.WebClient(id, secret, redirect))
	}
	router := exampleop.SetupServer(
		issuer, people{storage.NewStorage(storage.NewUserStore(issuer))}, slog.New(slog.DiscardHandler), false,
	)
	log.Fatal(http.ListenAndServeTLS(os.Getenv("LISTEN"), os.Getenv("TLS_CERT"), os.Getenv("TLS_KEY"), router))
}
