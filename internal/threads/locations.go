package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// Location is a place that a post can be tagged with.
type Location struct {
	ID         string
	Name       string
	Address    string
	City       string
	Country    string
	PostalCode string

	Latitude, Longitude float64
}

const locationFields = "id,name,address,city,country,latitude,longitude,postal_code"

type wirePlace struct {
	ID         id     `json:"id"` // a number in one of the documentation's examples
	Name       string `json:"name"`
	Address    string `json:"address"`
	City       string `json:"city"`
	Country    string `json:"country"`
	PostalCode string `json:"postal_code"`
	Latitude   number `json:"latitude"`
	Longitude  number `json:"longitude"`
}

func (w *wirePlace) location() *Location {
	if w == nil {
		return nil
	}
	return &Location{
		ID: string(w.ID), Name: w.Name, Address: w.Address, City: w.City, Country: w.Country, PostalCode: w.PostalCode,
		Latitude: float64(w.Latitude), Longitude: float64(w.Longitude),
	}
}

// Point is a place on the globe, in degrees.
type Point struct{ Latitude, Longitude float64 }

// LocationSearch finds places by name, near a point, or both. 500 searches in 24 hours.
//
// https://developers.facebook.com/documentation/threads/reference/location-search
func (c *Client) LocationSearch(ctx context.Context, token Token, name string, near *Point) ([]Location, error) {
	query := url.Values{"fields": {locationFields}}
	if name != "" {
		query.Set("q", name)
	}
	if near != nil {
		query.Set("latitude", strconv.FormatFloat(near.Latitude, 'f', -1, 64))
		query.Set("longitude", strconv.FormatFloat(near.Longitude, 'f', -1, 64))
	}
	var answer struct {
		Data []wirePlace `json:"data"`
	}
	q := reading(token, OpLocationSearch, "location_search", query)
	if err := c.do(ctx, q, &answer); err != nil {
		return nil, err
	}
	if answer.Data == nil {
		return nil, c.unanswered(q, http.StatusOK, errors.New("answer without a list"))
	}
	places := make([]Location, len(answer.Data))
	for i := range answer.Data {
		places[i] = *answer.Data[i].location()
	}
	return places, nil
}
