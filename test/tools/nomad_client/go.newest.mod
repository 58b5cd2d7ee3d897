module sluice/test/tools/nomad_client

go 1.26

require (
	github.com/hashicorp/nomad/api v0.0.0-20261016150620-df630b26e78a
	sluice/test/tools/expect v0.0.0
)

replace sluice/test/tools/expect => ../expect

require (
	github.com/go-viper/mapstructure/v2 v2.5.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/hashicorp/cronexpr v1.1.3 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-rootcerts v1.0.2 // indirect
	github.com/mitchellh/go-homedir v1.1.0 // indirect
	github.com/mitchellh/mapstructure v1.5.0 // indirect
)
