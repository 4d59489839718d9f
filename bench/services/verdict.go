package main

import (
	"bytes"
	"encoding/asn1"
)

// validNTP: a server's answer (RFC 5905, 7.3) of one that has the time, to this very request, and no kiss of death.
func validNTP(request, reply []byte) bool {
	const header, server, unsynchronised = 48, 4, 16
	if len(request) < header || len(reply) < header {
		return false
	}
	stratum := reply[1]
	return reply[0]&7 == server && stratum > 0 && stratum < unsynchronised && bytes.Equal(reply[24:32], request[40:48])
}

// snmpMessage is an SNMPv2c message (RFC 1901, 3; RFC 3416, 3).
type snmpMessage struct {
	Version   int
	Community []byte
	PDU       asn1.RawValue
}

// snmpPDU is what a PDU holds.
type snmpPDU struct {
	ID, ErrorStatus, ErrorIndex int
	Bindings                    []snmpBinding
}

type snmpBinding struct {
	Name  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// Tags of context-specific class.
const (
	snmpResponse     = 2
	snmpNoSuchObject = 0 // of a value, as those up to 2, endOfMibView
)

// validSNMP: a response without an error to the request's number, all of whose values are there.
func validSNMP(request, reply []byte) bool {
	asked, ok := readSNMP(request)
	if !ok {
		return false
	}
	got, ok := readSNMP(reply)
	if !ok || got.tag != snmpResponse || got.ID != asked.ID || got.ErrorStatus != 0 || len(got.Bindings) != len(asked.Bindings) || len(got.Bindings) == 0 {
		return false
	}
	for i, b := range got.Bindings {
		if b.Value.Class == asn1.ClassContextSpecific && b.Value.Tag <= snmpNoSuchObject+2 || !b.Name.Equal(asked.Bindings[i].Name) {
			return false
		}
	}
	return true
}

type taggedPDU struct {
	snmpPDU
	tag int
}

func readSNMP(b []byte) (pdu taggedPDU, ok bool) {
	var m snmpMessage
	rest, err := asn1.Unmarshal(b, &m)
	if err != nil || len(rest) > 0 || m.PDU.Class != asn1.ClassContextSpecific {
		return pdu, false
	}
	pdu.tag = m.PDU.Tag
	sequence := bytes.Clone(m.PDU.FullBytes)
	sequence[0] = asn1.TagSequence | 1<<5
	rest, err = asn1.Unmarshal(sequence, &pdu.snmpPDU)
	return pdu, err == nil && len(rest) == 0
}

// validTLS: a ServerHello (RFC 8446, 4.1.3), where an alert would refuse.
func validTLS(_, reply []byte) bool {
	const handshake, serverHello = 22, 2
	return len(reply) > 5 && reply[0] == handshake && reply[5] == serverHello
}

// validMQTT: a CONNACK that accepts (MQTT 3.1.1, 3.2.2.3).
func validMQTT(_, reply []byte) bool {
	const connack, accepted = 0x20, 0
	return len(reply) == 4 && reply[0] == connack && reply[1] == 2 && reply[3] == accepted
}

// validSIP: 200 OK with the request's Call-ID (RFC 3261, 8.2.6).
func validSIP(request, reply []byte) bool {
	id := sipHeader(request, "Call-ID: ")
	return bytes.HasPrefix(reply, []byte("SIP/2.0 200 ")) && len(id) > 0 && bytes.Equal(id, sipHeader(reply, "Call-ID: "))
}

func sipHeader(message []byte, name string) []byte {
	_, rest, _ := bytes.Cut(message, []byte("\r\n"+name))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return value
}
