// A Check on grpc-go that admits everything with one header, as long as an identity. Its argument is the port.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
)

type idle struct {
	auth.UnimplementedAuthorizationServer
}

var identity = strings.Repeat("i", 600)

func (idle) Check(context.Context, *auth.CheckRequest) (*auth.CheckResponse, error) {
	header := &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: "x-instatunnel-identity", Value: identity},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
	admitted := &auth.OkHttpResponse{Headers: []*core.HeaderValueOption{header}}
	return &auth.CheckResponse{
		Status:       &status.Status{},
		HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: admitted},
	}, nil
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	auth.RegisterAuthorizationServer(server, idle{})
	log.Fatal(server.Serve(listener))
}
