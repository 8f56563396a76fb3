using System.Text.Json;

namespace McpHub.Tests.OpenApi;

/// <summary>What becomes of schemas: JSON Schema 2020-12, within the document, in one direction.</summary>
public sealed class SchemaTests
{
    [Fact]
    public void OpenApi30_BecomesJsonSchema202012()
    {
        var operation = Apis.Only("""
            {"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["name","id"],"properties":{
              "id":{"type":"integer","readOnly":true},
              "name":{"type":"string","nullable":true,"example":"Rex","x-internal":1,"xml":{"name":"n"}},
              "kind":{"type":"string","nullable":true,"enum":["cat","dog"],"default":"cat"},
              "age":{"type":"integer","minimum":0,"exclusiveMinimum":true,"maximum":30,"exclusiveMaximum":false},
              "photo":{"type":"string","format":"byte"},
              "owner":{"nullable":true,"allOf":[{"$ref":"#/components/schemas/Owner"}]},
              "friend":{"$ref":"#/components/schemas/Owner","maxProperties":3},
              "secret":{"type":"string","writeOnly":true}}}}}}}
            """, """{"schemas":{"Owner":{"type":"object","required":["id","name"],"properties":{"id":{"type":"string","readOnly":true},"name":{"type":"string"}}}}}""", "3.0.3", "post");

        Apis.IsJson("""
            {"type":"object","properties":{
              "name":{"type":["string","null"],"examples":["Rex"]},
              "kind":{"type":["string","null"],"enum":["cat","dog",null],"default":"cat"},
              "age":{"type":"integer","exclusiveMinimum":0,"maximum":30},
              "photo":{"type":"string","format":"byte","contentEncoding":"base64"},
              "owner":{"anyOf":[{"allOf":[{"$ref":"#/$defs/Owner"}]},{"type":"null"}]},
              "friend":{"$ref":"#/$defs/Owner"},
              "secret":{"type":"string"}},
             "required":["name"],"additionalProperties":false,
             "$defs":{"Owner":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}}
            """, operation.Input());
    }

    [Fact]
    public void OpenApi31_KeepsEveryKeyword()
    {
        const string Schema = """
            {"type":["object","null"],"if":{"required":["a"]},"then":{"required":["b"]},"else":false,"properties":{"a":true,"b":{"const":5},"c":{"prefixItems":[{"type":"string"}],"items":false,"contains":{"minimum":1},"minContains":2},
             "d":{"$ref":"#/components/schemas/D","description":"beside","maxLength":5},"e":{"type":"number","multipleOf":0.1,"maximum":12345678901234567890.5,"default":1.0}},
             "patternProperties":{"^x":{"type":"string"}},"unevaluatedProperties":false,"dependentRequired":{"a":["b"]},"propertyNames":{"pattern":"^[a-z]"}}
            """;
        var operation = Apis.Only($$"""{"requestBody":{"content":{"application/json":{"schema":{{Schema}} } } } }""", """{"schemas":{"D":{"type":"string","deprecated":true,"$comment":"no","$id":"http://elsewhere/"}}}""", method: "post");

        Apis.IsJson(Schema.Replace("#/components/schemas/D", "#/$defs/D", StringComparison.Ordinal), operation.Input().GetProperty("properties").GetProperty("body"));
        Apis.IsJson("""{"D":{"type":"string","deprecated":true}}""", operation.Input().GetProperty("$defs"));
        Assert.Contains("\"maximum\":12345678901234567890.5", operation.Input().GetRawText(), StringComparison.Ordinal);
        Assert.Contains("\"default\":1.0", operation.Input().GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public void Recursion_StaysAReference()
    {
        var operation = Apis.Only("""{"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Node"}}}}}}""",
            """{"schemas":{"Node":{"type":"object","properties":{"next":{"$ref":"#/components/schemas/Node"},"all":{"type":"array","items":{"$ref":"#/components/schemas/Node"}},"key":{"type":"string","writeOnly":true}},"required":["next","key"]}}}""");

        Apis.IsJson("""
            {"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},"all":{"type":"array","items":{"$ref":"#/$defs/Node"}}},"required":["next"],
             "$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},"all":{"type":"array","items":{"$ref":"#/$defs/Node"}}},"required":["next"]}}}
            """, operation.Definition().GetProperty("outputSchema"));
    }

    [Fact]
    public void Discriminator_PointsToTheNewPlaces()
    {
        var operation = Apis.Only("""
            {"requestBody":{"content":{"application/json":{"schema":{"oneOf":[{"$ref":"#/components/schemas/Cat"},{"$ref":"#/components/schemas/a~1b"}],
             "discriminator":{"propertyName":"kind","mapping":{"cat":"#/components/schemas/Cat","other":"Dog"}}}}}}}
            """, """{"schemas":{"Cat":{"type":"object"},"Dog":{"type":"object"},"a/b":{"type":"object"}}}""", method: "post");

        Apis.IsJson("""{"oneOf":[{"$ref":"#/$defs/Cat"},{"$ref":"#/$defs/a_1b"}],"discriminator":{"propertyName":"kind","mapping":{"cat":"#/$defs/Cat","other":"#/$defs/Dog"}}}""",
            operation.Input().GetProperty("properties").GetProperty("body"));
        Assert.Equal(["Cat", "a_1b", "Dog"], operation.Input().GetProperty("$defs").EnumerateObject().Select(member => member.Name));
    }

    [Theory]
    [InlineData("""{"$ref":"other.json#/A"}""", "another document")]
    [InlineData("""{"$ref":"http://127.0.0.1:1/a.json"}""", "another document")]
    [InlineData("""{"$ref":"#/components/schemas/None"}""", "leads nowhere")]
    [InlineData("""{"$ref":"#anchor"}""", "anchor")]
    [InlineData("""{"$dynamicRef":"#x"}""", "$dynamicRef")]
    [InlineData("""{"type":"file"}""", "'file'")]
    [InlineData("""{"properties":[]}""", "'properties' is not an object")]
    [InlineData("5", "neither an object")]
    public void UnusableSchema_TakesItsOperationAlone(string schema, string reason)
    {
        var api = Apis.Read(Apis.Document($$"""{"/bad":{"get":{"parameters":[{"name":"a","in":"query","schema":{{schema}} }]} },"/good":{"get":{} } }"""));

        Assert.Equal("get_good", Assert.Single(api.Operations).Key);
        var bad = Assert.Single(api.Unusable);
        Assert.Equal("get_bad", bad.Tool);
        Assert.Contains(reason, bad.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"array","items":{}}""")]
    [InlineData("""{"type":["object","null"]}""")]
    [InlineData("""{"$ref":"other.json"}""")]
    [InlineData("""{"oneOf":[{"type":"object"}]}""")]
    public void ResultThatIsNotAlwaysAnObject_IsNotAnnounced(string schema)
    {
        var operation = Apis.Only($$"""{"responses":{"200":{"content":{"application/json":{"schema":{{schema}} } } } } }""");

        Assert.False(operation.Definition().TryGetProperty("outputSchema", out _));
        Assert.False(operation.HasOutputSchema);
    }

    [Fact]
    public void SeveralGoodAnswers_AreNotAnnounced_AndAllOfIs()
    {
        const string Object = """{"content":{"application/json":{"schema":{"allOf":[{"$ref":"#/components/schemas/A"},{"required":["b"]}]}}}}""";
        const string Schemas = """{"schemas":{"A":{"type":"object","properties":{"b":{"type":"string"}}}}}""";

        Assert.False(Apis.Only($$"""{"responses":{"200":{{Object}},"204":{"description":"none"} } }""", Schemas).HasOutputSchema);
        Apis.IsJson("""{"type":"object","allOf":[{"$ref":"#/$defs/A"},{"required":["b"]}],"$defs":{"A":{"type":"object","properties":{"b":{"type":"string"}}}}}""",
            Apis.Only($$"""{"responses":{"200":{{Object}},"404":{"description":"none"} } }""", Schemas).Definition().GetProperty("outputSchema"));
        Assert.False(Apis.Only($$"""{"responses":{"200":{{Object}} } }""", Schemas, source: Apis.Source with { HasOutputSchemas = false }).HasOutputSchema);
    }

    [Fact]
    public void Definition_SaysWhatTheOperationIs()
    {
        var api = Apis.Read(Apis.Document("""
            {"/pets/{id}":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"},"description":"Of the pet."}],
              "get":{"operationId":"pets.get","summary":"One pet","description":"With all it has.","responses":{}},
              "put":{"operationId":"putPet","deprecated":true},
              "delete":{"summary":"Remove"},
              "head":{"description":"Is it there?"}}}
            """));

        Assert.Equal(["delete_pets_id", "head_pets_id", "pets_get", "putPet"], api.Operations.Keys);
        Apis.IsJson("""
            {"name":"pets_get","title":"One pet","description":"One pet\n\nWith all it has.","inputSchema":{"type":"object","properties":{"id":{"type":"integer","description":"Of the pet."}},"required":["id"],"additionalProperties":false},
             "annotations":{"readOnlyHint":true,"openWorldHint":true}}
            """, api.Operations["pets_get"].Definition());
        Apis.IsJson("""{"readOnlyHint":false,"idempotentHint":true,"openWorldHint":true}""", api.Operations["putPet"].Definition().GetProperty("annotations"));
        Apis.IsJson("""{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":true,"openWorldHint":true}""", api.Operations["delete_pets_id"].Definition().GetProperty("annotations"));
        Assert.StartsWith("Deprecated. PUT /pets/{id}", api.Operations["putPet"].Definition().GetProperty("description").GetString(), StringComparison.Ordinal);
        Assert.True(JsonElement.DeepEquals(JsonDocument.Parse("true").RootElement, api.Operations["head_pets_id"].Definition().GetProperty("annotations").GetProperty("readOnlyHint")));
    }
}
