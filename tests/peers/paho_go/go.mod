// Eclipse Paho's Go client, for its functional verification tests: they run against a broker, which is us.
module saltline/peers

go 1.24.0

require (
	github.com/eclipse/paho.mqtt.golang v1.5.1 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	golang.org/x/net v0.44.0 // indirect
	golang.org/x/sync v0.17.0 // indirect
)
